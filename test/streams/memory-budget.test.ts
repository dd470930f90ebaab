import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Keeper, MemoryBudget, type MemoryShare } from "../../src/streams/memory-budget.ts";

const tests = suite("memory budget");

/** Keeps things of given lengths, each with a name. */
class Shelf implements Keeper {
  readonly share: MemoryShare;
  readonly things = new Map<string, { bytes: number; usedAt: number }>();
  /** Called when something was given up. */
  onGivenUp: (bytes: number) => void = () => {};

  constructor(budget: MemoryBudget, limit?: number) {
    this.share = budget.share(this, limit);
  }

  keep(name: string, bytes: number): boolean {
    if (!this.share.take(bytes)) return false;
    this.things.set(name, { bytes, usedAt: this.share.now() });
    return true;
  }

  use(name: string): void {
    const { bytes } = this.things.get(name)!;
    this.things.delete(name);
    this.things.set(name, { bytes, usedAt: this.share.now() });
  }

  get names(): string {
    return [...this.things.keys()].join();
  }

  get oldest(): number {
    for (const { usedAt } of this.things.values()) return usedAt;
    return Number.POSITIVE_INFINITY;
  }

  giveUpOldest(): void {
    for (const [name, { bytes }] of this.things) {
      this.things.delete(name);
      this.share.release(bytes);
      this.onGivenUp(bytes);
      return;
    }
  }

  giveUpIdle(moment: number): void {
    while (this.oldest <= moment) this.giveUpOldest();
  }
}

tests("what was of no use for the longest time goes first, whoever has it", () => {
  const budget = new MemoryBudget(100);
  const [one, two] = [new Shelf(budget), new Shelf(budget)];
  one.keep("a", 30);
  two.keep("b", 30);
  one.keep("c", 30);
  one.use("a");
  assert.ok(two.keep("d", 30));
  assert.equal([one.names, two.names], ["c,a", "d"]);
  assert.ok(two.keep("e", 40));
  assert.equal([one.names, two.names], ["a", "d,e"]);
  assert.is(budget.used, 100);
});

tests("a share gives up its own for what it may not hold, and nothing for what it can never hold", () => {
  const budget = new MemoryBudget(100);
  const [one, two] = [new Shelf(budget), new Shelf(budget, 50)];
  one.keep("a", 10);
  for (const name of ["b", "c", "d"]) two.keep(name, 20);
  assert.equal([one.names, two.names], ["a", "c,d"]);
  assert.not(two.keep("e", 51));
  assert.equal([one.names, two.names], ["a", "c,d"]);
  assert.not(one.keep("f", 101));
  assert.is(budget.used, 50);
});

tests("what nobody can give up leaves no room", () => {
  const budget = new MemoryBudget(100);
  const [one, two] = [new Shelf(budget), new Shelf(budget)];
  assert.ok(one.share.take(70));
  assert.ok(two.keep("a", 30));
  assert.not(new Shelf(budget).share.take(31));
  assert.is(budget.used, 70);
  one.share.release(70);
  assert.ok(two.keep("b", 100));
});

tests("what is given up to make room is not taken by others meanwhile", () => {
  const budget = new MemoryBudget(100);
  const [cache, spare] = [new Shelf(budget, 1000), new Shelf(budget)];
  cache.onGivenUp = (bytes) => {
    spare.keep("its memory", bytes);
  };
  for (const name of ["a", "b", "c", "d"]) cache.keep(name, 25);
  assert.ok(cache.keep("e", 25));
  assert.equal([cache.names, spare.names], ["b,c,d,e", ""]);
  budget.giveUpIdle();
  budget.giveUpIdle();
  assert.is(budget.used, 0);
});

tests("what was of no use between two looks is given up", () => {
  const budget = new MemoryBudget(100);
  const shelf = new Shelf(budget);
  shelf.keep("a", 10);
  shelf.keep("b", 20);
  assert.is(budget.giveUpIdle(), 0);
  shelf.use("a");
  assert.is(budget.giveUpIdle(), 20);
  assert.is(shelf.names, "a");
  assert.is(budget.giveUpIdle(), 10);
  assert.is(budget.used, 0);
});

tests("a share that is closed holds nothing and takes nothing", () => {
  const budget = new MemoryBudget(100);
  const shelf = new Shelf(budget);
  shelf.keep("a", 10);
  shelf.share.close();
  assert.is(budget.used, 0);
  shelf.share.release(10);
  shelf.share.close();
  assert.is(budget.used, 0);
  assert.not(shelf.share.take(1));
});

tests("the fair part is of those who had use of theirs lately", () => {
  const budget = new MemoryBudget(120);
  assert.is(budget.fairPart, 120);
  const shelves = Array.from({ length: 4 }, () => new Shelf(budget));
  for (const [i, shelf] of shelves.entries()) for (const name of ["a", "b"]) shelf.keep(`${name}${i}`, 10);
  assert.is(budget.fairPart, 30);
  budget.giveUpIdle();
  assert.is(budget.fairPart, 30, "they may go on");
  shelves[0]!.use("a0");
  budget.giveUpIdle();
  assert.is(budget.fairPart, 120);
});

tests.run();
