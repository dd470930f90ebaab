import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ByteBudget } from "../../src/streams/budget.ts";
import { ownRoom } from "../../src/streams/own-room.ts";

const tests = suite("own room");

/** What was admitted, in order, of some requests; each number below zero releases the oldest that was admitted. */
async function admitted(room: ReturnType<typeof ownRoom>, steps: readonly number[]): Promise<number[][]> {
  const order: number[] = [];
  const held: number[] = [];
  const states: number[][] = [];
  for (const [i, step] of steps.entries()) {
    const take = () => {
      order.push(i);
      held.push(step);
    };
    if (step < 0) {
      if (held.length > 0) room.release(held.shift()!);
    } else {
      const wait = room.acquire(step);
      if (wait) wait.then(take);
      else take();
    }
    await Promise.resolve();
    await Promise.resolve();
    states.push([...order]);
  }
  return states;
}

tests("property: it admits what the only share of a budget admits", async () => {
  const steps = fc.array(fc.integer({ min: -8, max: 15 }), { maxLength: 60 });
  const property = fc.asyncProperty(steps, async (steps) => {
    assert.equal(await admitted(ownRoom(10), steps), await admitted(new ByteBudget(10).share(10), steps));
  });
  await fc.assert(property, { numRuns: 300 });
});

tests("what wants more than all of it waits until nothing is held, and nothing overtakes it", async () => {
  assert.equal(await admitted(ownRoom(10), [5, 11, 1, -1, -1]), [[0], [0], [0], [0, 1], [0, 1, 2]]);
});

tests.run();
