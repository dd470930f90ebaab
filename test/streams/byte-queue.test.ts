import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ByteQueue } from "../../src/streams/byte-queue.ts";

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

tests("taking more than is there throws and takes nothing", () => {
  const queue = new ByteQueue();
  queue.push(sequence(0, 4));
  assert.throws(() => queue.take(5), /taking 5 bytes of a queue that holds 4/);
  assert.equal(queue.take(4), sequence(0, 4));
});

tests.run();
