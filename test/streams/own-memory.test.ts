import * as fc from "fast-check";
import * as assert from "uvu/assert";
import { type Keeper, MemoryBudget, type MemoryShare } from "../../src/streams/memory-budget.ts";
import { ownMemory } from "../../src/streams/own-memory.ts";
import { suite } from "../harness.ts";

const tests = suite("own memory");

/** A keeper of things with so many bytes each; what it gave up, in order. */
function keeperOf(shareFor: (keeper: Keeper) => MemoryShare) {
  const kept: { bytes: number; usedAt: number }[] = [];
  const givenUp: number[] = [];
  const share = shareFor({
    get oldest() {
      return kept[0]?.usedAt ?? Number.POSITIVE_INFINITY;
    },
    giveUpOldest() {
      const { bytes } = kept.shift()!;
      givenUp.push(bytes);
      share.release(bytes);
    },
    giveUpIdle() {},
  });
  function keep(bytes: number): boolean {
    const isTaken = share.take(bytes);
    if (isTaken) kept.push({ bytes, usedAt: share.now() });
    return isTaken;
  }
  return { keep, givenUp, share };
}

tests("it is what the only keeper of a budget has", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(150)), (sizes) => {
      const own = keeperOf((keeper) => ownMemory(keeper, 100));
      const shared = keeperOf((keeper) => new MemoryBudget(100).share(keeper));
      for (const bytes of sizes) assert.is(own.keep(bytes), shared.keep(bytes));
      assert.equal(own.givenUp, shared.givenUp);
    }),
  );
});

tests("nothing can be taken after its end", () => {
  const { keep, share } = keeperOf((keeper) => ownMemory(keeper, 100));
  assert.ok(keep(50));
  share.close();
  assert.not.ok(keep(1));
});

tests.run();
