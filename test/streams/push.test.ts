import { suite } from "uvu";
import * as assert from "uvu/assert";
import { push } from "../../src/streams/push.ts";
import { collect, failure, settled } from "../bytes.ts";

const tests = suite("push");

tests("what is pushed is read in order, then the end", async () => {
  const { readable, push: add, close } = push<number>({ highWaterMark: 10 });
  for (const n of [1, 2, 3]) assert.ok(add(n));
  close();
  assert.equal(await collect(readable), [1, 2, 3]);
});

tests(
  "push() says stop at the high-water mark but takes the chunk; resume() comes once there is room",
  async () => {
    let resumed = 0;
    const source = push<Uint8Array>(
      { highWaterMark: 10, resume: () => resumed++ },
      ({ byteLength }) => byteLength,
    );
    assert.ok(source.push(new Uint8Array(9)));
    await settled();
    assert.not.ok(source.push(new Uint8Array(1)), "10 of 10");
    assert.not.ok(source.push(new Uint8Array(20)), "taken all the same");
    await settled();
    assert.is(resumed, 0);
    const reader = source.readable.getReader();
    assert.is((await reader.read()).value?.byteLength, 9);
    assert.is((await reader.read()).value?.byteLength, 1);
    await settled();
    assert.is(resumed, 0, "20 of 10 are still there");
    assert.is(source.queued, 20);
    assert.is((await reader.read()).value?.byteLength, 20);
    await settled();
    assert.is(resumed, 1);
  },
);

tests("resume() is never called where push() did not say stop", async () => {
  let resumed = 0;
  const source = push<number>({ highWaterMark: 4, resume: () => resumed++ });
  const reader = source.readable.getReader();
  for (let n = 0; n < 20; n++) {
    assert.ok(source.push(n));
    await reader.read();
    await settled();
  }
  assert.is(resumed, 0);
});

tests("resume() waits for room also where all was pushed in one turn", async () => {
  let resumed = 0;
  const source = push<number>({ highWaterMark: 3, resume: () => resumed++ });
  await settled();
  assert.equal([source.push(1), source.push(2), source.push(3)], [true, true, false]);
  await settled();
  assert.is(resumed, 0);
  await source.readable.getReader().read();
  await settled();
  assert.is(resumed, 1);
});

tests("each stop has its resume()", async () => {
  let resumed = 0;
  const source = push<number>({ resume: () => resumed++ });
  const reader = source.readable.getReader();
  for (let n = 1; n <= 5; n++) {
    assert.not.ok(source.push(n));
    assert.is((await reader.read()).value, n);
    await settled();
    assert.is(resumed, n);
  }
});

tests("a reader that waits is served at once", async () => {
  const source = push<number>();
  const read = source.readable.getReader().read();
  await settled();
  assert.ok(source.push(7), "the chunk is not queued");
  assert.equal(await read, { done: false, value: 7 });
});

tests("cancel: the source is told once, what it still pushes is ignored", async () => {
  const told: unknown[] = [];
  const source = push<number>({ cancel: (reason) => void told.push(reason) });
  const reason = new Error("enough");
  await source.readable.cancel(reason);
  assert.not.ok(source.push(1));
  source.close();
  source.error(new Error("late"));
  assert.equal(told, [reason]);
});

tests("ends of life that come twice, in any order, are harmless", async () => {
  const reason = new Error("broken");
  const closed = push<number>({ highWaterMark: 5 });
  closed.push(1);
  closed.close();
  closed.close();
  assert.not.ok(closed.push(2));
  assert.equal(await collect(closed.readable), [1]);
  closed.error(reason);

  const failed = push<number>();
  failed.push(1);
  failed.error(reason);
  failed.error(new Error("again"));
  failed.close();
  assert.not.ok(failed.push(2));
  const got: number[] = [];
  assert.is(await failure(collect(failed.readable, got)), reason);
  assert.equal(got, [], "a failure drops what is queued");
});

tests.run();
