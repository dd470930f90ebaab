import { suite } from "uvu";
import * as assert from "uvu/assert";
import { giveBack } from "../../src/streams/lent.ts";
import { ReusedMemory } from "../../src/streams/reused-memory.ts";

const tests = suite("reused memory");

tests("what was given back is taken again by its length, and by nobody while it is out", () => {
  const memory = new ReusedMemory(100);
  const [ten, twenty] = [memory.take(10), memory.take(20)];
  const lent = memory.lend(ten);
  giveBack(memory.lend(twenty, 7));
  assert.is.not(memory.take(10), ten);
  assert.is(memory.take(20), twenty);
  giveBack(lent);
  giveBack(lent);
  assert.is(memory.take(10), ten);
  assert.is.not(memory.take(10), ten, "it was given back once");
});

tests("what is lent may be shorter than its memory", () => {
  const memory = new ReusedMemory(100);
  assert.is(memory.lend(memory.take(10), 7).byteLength, 7);
});

tests("no more is kept than the limit, the last that was given back", () => {
  const memory = new ReusedMemory(25);
  const buffers = [memory.take(10), memory.take(10), memory.take(10)];
  for (const bytes of buffers.map((buffer) => memory.lend(buffer))) giveBack(bytes);
  const again = buffers.map(() => memory.take(10));
  assert.equal(
    again.map((buffer) => buffers.indexOf(buffer)),
    [1, 2, -1],
  );
});

tests.run();
