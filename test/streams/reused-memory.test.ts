import { suite } from "uvu";
import * as assert from "uvu/assert";
import { giveBack } from "../../src/streams/lent.ts";
import { MemoryBudget } from "../../src/streams/memory-budget.ts";
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

tests("no more is kept than the limit: what was given back last, which is taken first", () => {
  const memory = new ReusedMemory(25);
  const buffers = [memory.take(10), memory.take(10), memory.take(10)];
  for (const bytes of buffers.map((buffer) => memory.lend(buffer))) giveBack(bytes);
  const again = buffers.map(() => memory.take(10));
  assert.equal(
    again.map((buffer) => buffers.indexOf(buffer)),
    [2, 1, -1],
  );
});

tests("what is longer than the limit is not kept, and nothing goes for it", () => {
  const memory = new ReusedMemory(25);
  const ten = memory.take(10);
  giveBack(memory.lend(ten));
  giveBack(memory.lend(memory.take(26)));
  assert.is(memory.take(10), ten);
});

tests("what is spare is of the budget that it was moved to, until that ends", () => {
  const memory = new ReusedMemory(100);
  const budget = new MemoryBudget(40);
  const end = memory.moveTo(budget, 30);
  giveBack(memory.lend(memory.take(20)));
  giveBack(memory.lend(memory.take(15)));
  assert.is(budget.used, 15);
  end();
  assert.is(budget.used, 0);
  const out = memory.take(90);
  giveBack(memory.lend(out));
  assert.is(budget.used, 0);
  assert.is(memory.take(90), out);
});

tests("what is not taken again for a while is given up, and what is stays", () => {
  const budget = new MemoryBudget(100);
  const memory = new ReusedMemory(100, budget);
  const [first, second] = [memory.lend(memory.take(10)), memory.lend(memory.take(10))];
  giveBack(first);
  budget.giveUpIdle();
  giveBack(second);
  assert.is(budget.giveUpIdle(), 10);
  const again = memory.take(10);
  assert.is(again, second.buffer);
  giveBack(memory.lend(again));
  assert.is(budget.used, 10);
  assert.is(budget.giveUpIdle(), 0);
  assert.is(budget.giveUpIdle(), 10);
  assert.is(budget.used, 0);
});

tests.run();
