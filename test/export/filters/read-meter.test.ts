import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import { ReadMeter, type ReadProgress } from "../../../src/export/filters/read-meter.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { failure } from "../../bytes.ts";
import { suite } from "../../harness.ts";

const tests = suite("what is told of reads");

/** Timers and a time of day that go on when the test says so. */
class Timers {
  #now = 1000;
  readonly #pending = new Map<number, { at: number; callback: () => void }>();
  readonly #own = { setTimeout, clearTimeout, now: Date.now };

  install(): void {
    let ids = 0;
    const set = (callback: () => void, milliseconds: number) => {
      this.#pending.set(++ids, { at: this.#now + milliseconds, callback });
      return ids;
    };
    const clear = (id: number) => this.#pending.delete(id);
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
    Date.now = () => this.#now;
  }

  /** Lets milliseconds pass, one by one. */
  pass(milliseconds: number): void {
    for (let i = 0; i < milliseconds; i++) {
      this.#now++;
      for (const [id, { at, callback }] of this.#pending) {
        if (at > this.#now) continue;
        this.#pending.delete(id);
        callback();
      }
    }
  }

  get pending(): number {
    return this.#pending.size;
  }

  restore(): void {
    const { now, ...timers } = this.#own;
    Object.assign(globalThis, timers);
    Date.now = now;
  }
}

let timers: Timers;
tests.before.each(() => {
  timers = new Timers();
  timers.install();
});
tests.after.each(() => timers.restore());

const pass = (milliseconds: number) => timers.pass(milliseconds);

/** A meter on a clock of its own, over a MiB, and all that it tells. */
function setUp(next: Export = memoryExport(new Uint8Array(1 << 20))) {
  const told: ReadProgress[] = [];
  const meter = new ReadMeter(
    (progress) => told.push(progress),
    () => Date.now(),
  );
  const disk = meter.over(next);
  return {
    meter,
    told,
    disk,
    read: (length: number) => disk.read(0, length),
    rates: () => told.map(({ bytesPerSecond }) => bytesPerSecond),
  };
}

tests("four times a second while something is read; once more when nothing was; then nothing", async () => {
  const { told, read, rates } = setUp();
  pass(5000);
  assert.equal(told, []);
  for (let i = 0; i < 20; i++) {
    await read(1000);
    pass(100);
  }
  assert.is(told.length, 8);
  assert.equal(rates().slice(4), [10_000, 10_000, 10_000, 10_000]);
  assert.equal(told[7], { reads: 20, bytesRead: 20_000, bytesPerSecond: 10_000, lastReadAt: 7900 });
  pass(60_000);
  assert.is(rates().filter((rate) => rate === 0).length, 1);
  assert.is(rates().at(-1), 0);
  assert.ok(told.length <= 13, `${told.length} reports`);
});

tests("a first read is told within a quarter of a second, also after a pause", async () => {
  const { told, read } = setUp();
  for (const reads of [1, 2]) {
    await read(500);
    pass(250);
    assert.equal([told.at(-1)!.reads, told.at(-1)!.bytesPerSecond], [reads, 2000]);
    pass(10_000);
  }
});

tests("many reads make no more reports", async () => {
  const { told, read } = setUp();
  for (let i = 0; i < 1000; i++) {
    await read(1);
    pass(1);
  }
  assert.is(told.length, 4);
});

tests("the end is told, with all that was counted, and is the last", async () => {
  const { meter, told, disk, read } = setUp();
  await read(10);
  meter.end();
  assert.equal(told, [{ reads: 1, bytesRead: 10, bytesPerSecond: 0, lastReadAt: 1000 }]);
  assert.is(timers.pending, 0);
  // A read that nobody waits for any more.
  await disk.read(0, 10);
  pass(10_000);
  assert.is(told.length, 1);
});

tests("where nothing was read there is no time of it; a read that fails is none", async () => {
  const { meter, told, read } = setUp({
    ...memoryExport(new Uint8Array(10)),
    read: () => Promise.reject(new Error("gone")),
  });
  await failure(read(1));
  meter.end();
  assert.equal(told, [{ reads: 0, bytesRead: 0, bytesPerSecond: 0, lastReadAt: undefined }]);
});

tests("begun anew, it counts on", async () => {
  const { meter, told, read } = setUp();
  await read(10);
  meter.end();
  const again = meter.over(memoryExport(new Uint8Array(10)));
  await again.read(0, 10);
  pass(250);
  assert.equal([told.at(-1)!.reads, told.at(-1)!.bytesRead], [2, 20]);
  assert.equal(meter.counts, { reads: 2, bytesRead: 20 });
});

tests.run();
