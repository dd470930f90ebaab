import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ByteQueue } from "../../src/streams/byte-queue.ts";
import { giveBack, isLent } from "../../src/streams/lent.ts";
import { lendToSpoil } from "../lending.ts";

const tests = suite("byte queue");
const sequence = (from: number, length: number) => Uint8Array.from({ length }, (_, i) => (from + i) & 0xff);

tests("a take within one chunk is a view of it, not a copy", () => {
  const queue = new ByteQueue();
  const chunk = sequence(0, 8);
  queue.push(chunk);
  const taken = queue.take(3);
  assert.is(taken.buffer, chunk.buffer);
  assert.equal(taken, sequence(0, 3));
  assert.is(queue.length, 5);
});

for (const chunkSize of [1, 2, 3, 7, 64, 100]) {
  for (const takeSize of [1, 2, 5, 28, 100]) {
    tests(`chunks of ${chunkSize}, takes of ${takeSize}`, () => {
      const queue = new ByteQueue();
      for (let at = 0; at < 100; at += chunkSize) queue.push(sequence(at, Math.min(chunkSize, 100 - at)));
      for (let at = 0; at < 100; at += takeSize) {
        const length = Math.min(takeSize, 100 - at);
        assert.equal(queue.take(length), sequence(at, length));
      }
      assert.is(queue.length, 0);
    });
  }
}

tests("bytes that come one at a time and have to wait are held in few arrays, in their order", () => {
  const queue = new ByteQueue();
  const length = 100_000;
  for (let at = 0; at < length; at++) queue.push(sequence(at, 1));
  assert.is(queue.length, length);
  assert.equal(queue.take(5), sequence(0, 5));
  let arrays = 0;
  let at = 5;
  for (let chunk = queue.takeChunk(); chunk; chunk = queue.takeChunk()) {
    assert.equal(chunk, sequence(at, chunk.byteLength));
    at += chunk.byteLength;
    arrays++;
  }
  assert.is(at, length);
  assert.ok(arrays < 20, `${arrays} arrays`);
});

tests("what is gathered stays as it was when more comes behind it, small or large", () => {
  const queue = new ByteQueue();
  let [pushed, taken] = [0, 0];
  for (const size of [...Array<number>(30).fill(3), 5000, ...Array<number>(30).fill(1000), 1, 1, 2000]) {
    queue.push(sequence(pushed, size));
    pushed += size;
    const length = Math.min(2, queue.length);
    const some = queue.take(length);
    const before = some.slice();
    queue.push(sequence(pushed, 1));
    pushed++;
    assert.equal(some, before);
    assert.equal(some, sequence(taken, length));
    taken += length;
  }
  assert.equal(queue.take(queue.length), sequence(taken, pushed - taken));
});

tests("taking more than is there throws and takes nothing", () => {
  const queue = new ByteQueue();
  queue.push(sequence(0, 4));
  assert.throws(() => queue.take(5), /cannot take 5 bytes: the queue holds 4/);
  assert.equal(queue.take(4), sequence(0, 4));
});

const LONG = 1 << 16;

/** As assert.equal, which takes minutes to show how long arrays differ. */
const same = (actual: Uint8Array, expected: Uint8Array, message = "other bytes") =>
  assert.ok(Buffer.compare(actual, expected) === 0, message);

/** A chunk that was lent, which is spoilt when it is given back. */
const lentChunk = (from: number, length: number) => lendToSpoil(sequence(from, length));

tests("a long copy is lent, and its memory used again once it was given back", () => {
  const queue = new ByteQueue();
  for (let i = 0; i < 6; i++) queue.push(sequence(i, LONG / 2));
  const taken = queue.take(LONG);
  assert.ok(isLent(taken));
  const other = queue.take(LONG);
  assert.is.not(other.buffer, taken.buffer);
  giveBack(taken);
  const again = queue.take(LONG);
  assert.is(again.buffer, taken.buffer);
  same(again.subarray(0, LONG / 2), sequence(4, LONG / 2));
  same(other.subarray(LONG / 2), sequence(3, LONG / 2));
});

tests("a chunk that was lent is given back once it was taken, and each long part was given back", () => {
  const queue = new ByteQueue();
  const chunk = lentChunk(0, 2 * LONG + 20);
  queue.push(chunk);
  queue.push(sequence(7, 100));
  const parts = [queue.take(LONG), queue.take(20), queue.take(LONG)];
  assert.is(parts[0]!.buffer, chunk.buffer);
  same(queue.take(100), sequence(7, 100));
  giveBack(parts[2]!);
  same(parts[0]!, sequence(0, LONG), "one part is still out");
  giveBack(parts[0]!);
  assert.is(chunk[0], 0xee);
  same(parts[1]!, sequence(LONG, 20), "the short part is a copy");
});

tests("a chunk that was lent, and is copied to other memory, is given back at once", () => {
  const queue = new ByteQueue();
  const chunks = [lentChunk(0, LONG), lentChunk(0, LONG)];
  for (const chunk of chunks) queue.push(chunk);
  queue.take(10);
  const joined = queue.take(LONG);
  same(joined, sequence(10, LONG));
  assert.equal(chunks.map(isLent), [false, true]);
  queue.take(LONG - 10);
  assert.is(isLent(chunks[1]!), false);
});

tests("small chunks that were lent are given back when they are gathered", () => {
  const queue = new ByteQueue();
  const chunks = Array.from({ length: 20 }, (_, i) => lentChunk(i, 3));
  for (const chunk of chunks) queue.push(chunk);
  assert.ok(!isLent(chunks[19]!));
  for (let i = 0; i < 20; i++) same(queue.take(3), sequence(i, 3));
  assert.ok(!chunks.some(isLent));
});

tests.run();
