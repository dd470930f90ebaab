import { suite } from "uvu";
import * as assert from "uvu/assert";
import { watchReads } from "../../../src/export/filters/watch-reads.ts";
import { until } from "../../harness.ts";

const tests = suite("watched reads");

/** Reads that fail while `broken` is set, on a clock of the test's own. */
function flaky(trial?: () => Promise<unknown>) {
  const told: string[] = [];
  const state = { broken: "", time: 0, told };
  const watched = watchReads({
    onfailing: (line) => told.push(line),
    onworking: (line) => told.push(line),
    trial,
    now: () => state.time,
  })({
    size: 100,
    async read(_offset, length) {
      if (state.broken) throw new Error(state.broken);
      return new Uint8Array(length);
    },
    async close() {},
  });
  const read = (offset: number, signal?: AbortSignal) =>
    watched.read(offset, 10, signal && { signal }).then(
      () => true,
      () => false,
    );
  return Object.assign(state, { read, close: () => watched.close() });
}

tests("the first failure is told with its place and cause, then no more until reads work again", async () => {
  const file = flaky();
  assert.ok(await file.read(0));
  file.broken = "the disk is gone";
  for (let i = 0; i < 1000; i++) assert.not(await file.read(i));
  assert.equal(file.told, ["reading 10 bytes at 0: the disk is gone"]);
  file.broken = "";
  // A moment is not enough: other reads may still fail.
  file.time = 999;
  assert.ok(await file.read(0));
  assert.is(file.told.length, 1);
  file.time = 1000;
  assert.ok(await file.read(0));
  assert.equal(file.told.slice(1), ["reads succeed again; 1000 had failed"]);
});

tests("what fails now and then makes few lines: 30 in a quarter of an hour, and 2 a minute", async () => {
  const file = flaky();
  const run = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      file.broken = i % 2 ? "" : "a bad sector";
      await file.read(0);
      file.time += 1000;
    }
    return file.told.length;
  };
  const first = await run(900);
  assert.ok(first <= 30, `${first} lines`);
  assert.ok((await run(600)) - first <= 20);
});

tests("a read that was given up, and one that fails after the end, is no failure", async () => {
  const file = flaky();
  file.broken = "it was given up";
  assert.not(await file.read(0, AbortSignal.abort()));
  await file.close();
  assert.not(await file.read(0));
  assert.equal(file.told, []);
});

tests("while reads fail it is tried whether they work again, and no longer", async () => {
  let trials = 0;
  const file = flaky(async () => {
    trials++;
    if (trials === 1) throw new Error("still broken");
  });
  file.broken = "broken";
  await file.read(0);
  file.time = 5000;
  await until("it is told", () => file.told.length === 2);
  assert.is(trials, 2);
  file.broken = "broken again";
  await file.read(7);
  await file.close();
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.is(trials, 2, "none after the end");
});

tests.run();
