import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ByteBudget, type Room } from "../../src/streams/budget.ts";
import { Ended } from "../../src/streams/ended.ts";
import { failure, isPending, settled } from "../bytes.ts";
import { within } from "../harness.ts";

const tests = suite("budget");

/** Takes room and notes the share's name when it was given. */
function take(room: Room, weight: number, name: string, given: string[]) {
  const wait = room.acquire(weight);
  if (wait) wait.then(() => given.push(name));
  else given.push(name);
}

tests("room is given at once while there is some, and waited for beyond", async () => {
  const budget = new ByteBudget(100);
  const room = budget.share(100);
  assert.is(room.acquire(60), undefined);
  assert.is(room.acquire(40), undefined);
  assert.is(budget.used, 100);
  const wait = room.acquire(1)!;
  assert.ok(await isPending(wait));
  room.release(60);
  await within(1000, "the room", wait);
  assert.is(budget.used, 41);
});

tests("a share that holds nothing is served up to its limit, whatever the others hold", () => {
  const budget = new ByteBudget(100);
  budget.share(100).acquire(100);
  assert.is(budget.share(10).acquire(10), undefined);
  assert.is(budget.used, 110);
});

tests(
  "many that hold nothing are served from the reserve, and beyond it what is assured to each",
  async () => {
    const budget = new ByteBudget(100, { reserve: 50, assured: 3 });
    budget.share(100).acquire(100);
    const others = Array.from({ length: 8 }, () => budget.share(10));
    const waits = others.map((share) => share.acquire(10));
    assert.equal(
      waits.map((wait) => wait === undefined),
      [true, true, true, true, true, false, false, false],
    );
    assert.is(budget.used, 150);
    const late = Array.from({ length: 100 }, () => budget.share(10));
    for (const share of late) assert.is(share.acquire(3), undefined);
    const second = failure(late[0]!.acquire(1)!);
    assert.is(budget.used, 150 + 100 * 3);
    for (const share of late) share.close();
    assert.instance(await within(1000, "its end", second), Ended);
    others[0]!.release(10);
    await within(1000, "the next one's turn", waits[5]!);
  },
);

tests("more than the limit waits until the total allows it, or nobody holds anything", async () => {
  const budget = new ByteBudget(100);
  const other = budget.share(100);
  other.acquire(50);
  const room = budget.share(10);
  assert.is(room.acquire(50), undefined);
  const wait = room.acquire(1000)!;
  room.release(50);
  assert.ok(await isPending(wait), "the other one still holds its part");
  other.release(50);
  await within(1000, "the room", wait);
  assert.is(budget.used, 1000);
});

tests(
  "a share that was closed has given back what it held; who waits for it has come too late, others are let in",
  async () => {
    const budget = new ByteBudget(100);
    const room = budget.share(100);
    room.acquire(100);
    const own = failure(room.acquire(10)!);
    const large = budget.share(50).acquire(60)!;
    assert.ok(await isPending(large));
    room.close();
    room.close();
    assert.instance(await within(1000, "the waiter of the share", own), Ended);
    await within(1000, "the other share", large);
    assert.is(budget.used, 60);
    room.release(100);
    assert.instance(await failure(room.acquire(1)!), Ended);
    assert.is(budget.used, 60);
  },
);

tests("a share keeps to its own limit", async () => {
  const budget = new ByteBudget(1000);
  const room = budget.share(100);
  assert.is(room.acquire(100), undefined);
  const wait = room.acquire(1)!;
  assert.ok(await isPending(wait));
  room.release(100);
  await within(1000, "the room", wait);
});

tests(
  "who waits is served in order: a short request does not overtake a long one of the same share",
  async () => {
    const room = new ByteBudget(100).share(100);
    const given: string[] = [];
    room.acquire(90);
    take(room, 50, "long", given);
    take(room, 5, "short", given);
    await settled();
    assert.equal(given, []);
    room.release(90);
    await settled();
    assert.equal(given, ["long", "short"]);
  },
);

tests("a share that is stalled for ever never delays another", async () => {
  const budget = new ByteBudget(100);
  const stalled = budget.share(80);
  stalled.acquire(80);
  const never: string[] = [];
  for (let i = 0; i < 10; i++) take(stalled, 80, "stalled", never);
  const other = budget.share(80);
  const given: string[] = [];
  for (let i = 0; i < 50; i++) take(other, 60, "other", given);
  for (let i = 1; i <= 50; i++) {
    assert.is(given.length, i);
    other.release(60);
    await settled();
  }
  assert.equal(never, []);
});

tests(
  "room that comes free goes round: a share with many waiting takes no second turn before the others",
  async () => {
    const budget = new ByteBudget(40);
    const [a, b, c] = [budget.share(40), budget.share(40), budget.share(40)];
    // Each holds something, so that none is served for holding nothing.
    for (const share of [a, b, c]) share.acquire(10);
    a.acquire(10);
    const given: string[] = [];
    for (let i = 0; i < 4; i++) take(a, 10, "a", given);
    for (let i = 0; i < 2; i++) take(b, 10, "b", given);
    for (let i = 0; i < 2; i++) take(c, 10, "c", given);
    for (let i = 0; i < 6; i++) {
      const holder = [a, a, b, c, a, b][i]!;
      holder.release(10);
      await settled();
    }
    assert.equal(given.slice(0, 6).sort(), ["a", "a", "b", "b", "c", "c"]);
    assert.equal([...given.slice(0, 3)].sort(), ["a", "b", "c"]);
  },
);

tests(
  "property: never more than the total and one request of each share; all is served in the end",
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ share: fc.nat(3), weight: fc.nat(150) }), { maxLength: 60 }),
        fc.nat(),
        async (requests, seed) => {
          const budget = new ByteBudget(100);
          const shares = [0, 1, 2, 3].map(() => budget.share(60));
          const held: typeof requests = [];
          let served = 0;
          for (const request of requests) {
            const got = () => {
              held.push(request);
              served++;
            };
            const wait = shares[request.share]!.acquire(request.weight);
            if (wait) wait.then(got);
            else got();
          }
          for (let step = 0; served < requests.length || held.length > 0; step++) {
            await Promise.resolve();
            assert.ok(budget.used <= 100 + 4 * 150);
            assert.is(budget.used >= held.reduce((sum, { weight }) => sum + weight, 0), true);
            if (held.length === 0) {
              await settled();
              assert.ok(held.length > 0 || served === requests.length, "somebody waits for nothing");
              continue;
            }
            const [request] = held.splice((seed + step) % held.length, 1);
            shares[request!.share]!.release(request!.weight);
          }
          assert.is(budget.used, 0);
        },
      ),
      { numRuns: 100 },
    );
  },
);

tests("what is assured to each is bounded for all of them together", async () => {
  const budget = new ByteBudget(100, { reserve: 50, assured: 10, assuredToAll: 20 });
  for (const weight of [100, 50, 10, 10]) assert.is(budget.share(100).acquire(weight), undefined);
  const late = budget.share(100);
  const waiting = late.acquire(10)!;
  assert.ok(await isPending(waiting));
  assert.is(budget.used, 170);
  late.close();
  await failure(waiting);
});

tests.run();
