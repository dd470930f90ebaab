import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exclusive } from "../../../src/node/gateway/exclusive.ts";
import type { Place } from "../../../src/node/session/place.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { wordsForOthers } from "../../../src/streams/for-others.ts";
import { failure, isPending } from "../../bytes.ts";
import { within } from "../../harness.ts";

const tests = suite("one session at a time");

/** A place whose holders are counted, as one on this machine that could be taken twice. */
function countedPlace() {
  const counts = { now: 0, most: 0 };
  async function claim(): Promise<Place> {
    counts.most = Math.max(counts.most, ++counts.now);
    const attach = () => Promise.reject(new Error("is not used"));
    return { attach, release: () => void counts.now-- };
  }
  return { counts, claim };
}

tests("of several that wait for one that leaves one gets the place, and keeps it", async () => {
  const exclusive = new Exclusive();
  const { counts, claim } = countedPlace();
  const gone = deferred<void>();
  const link = { closed: new Promise<void>(() => {}) };
  const first = await exclusive.claim("a", { closed: gone.promise }, claim);
  gone.resolve();
  await gone.promise;
  const waiting = [1, 2, 3].map(() => exclusive.claim("a", link, claim));
  const settled = Promise.allSettled(waiting);
  await first.release();

  const outcomes = (await settled).map((one) =>
    one.status === "fulfilled" ? "has it" : (one.reason as Error).message,
  );
  const refused = 'configuration "a" is in use by another session';
  assert.equal(outcomes, ["has it", refused, refused]);
  assert.is(counts.most, 1);
  await (await waiting[0]!).release();
  await (await exclusive.claim("a", link, claim)).release();
});

/** A link that the test ends. */
function linkOf() {
  const gone = deferred();
  return { link: { closed: gone.promise }, gone };
}

tests("a session that takes new links is given those that it knows", async () => {
  const exclusive = new Exclusive<string>();
  const { claim } = countedPlace();
  const taken: string[] = [];
  const handOver = (link: string) => {
    const isOwn = link === "its own";
    if (isOwn) taken.push(link);
    return isOwn;
  };
  const { link, gone } = linkOf();
  assert.not.ok(exclusive.takesLinks("a"), "nobody has the place");
  assert.not.ok(exclusive.handOver("a", "its own"));
  const place = await exclusive.claim("a", link, claim, { handOver });
  assert.ok(exclusive.takesLinks("a"));
  assert.not.ok(exclusive.handOver("b", "its own"), "that is another place");
  assert.ok(exclusive.handOver("a", "its own"));
  assert.not.ok(exclusive.handOver("a", "another"));
  assert.equal(taken, ["its own"]);

  gone.resolve();
  await gone.promise;
  assert.not.ok(exclusive.takesLinks("a"), "it is about to leave");
  assert.not.ok(exclusive.handOver("a", "its own"));
  await place.release();
});

tests(
  "a session that waits for its link is not waited for: who comes is refused, or takes it over",
  async () => {
    const exclusive = new Exclusive<string>();
    const { claim } = countedPlace();
    const leaving = deferred();
    const lost = { closed: Promise.resolve() };
    const place = await exclusive.claim("a", lost, claim, {
      leaving: leaving.promise,
      handOver: () => false,
      isAlive: async () => false,
      describe: () => "in use since noon, lost for 3 s",
      end: () => leaving.resolve(),
    });
    const refusal = await failure(exclusive.claim("a", linkOf().link, claim));
    assert.is(wordsForOthers(refusal), "in use since noon, lost for 3 s");
    const takeOver = { by: "10.9.0.2", isAllowed: true, interval: 0 };
    const waiting = exclusive.claim("a", linkOf().link, claim, { takeOver });
    assert.ok(await isPending(waiting));
    await place.release();
    await (await within(1000, "the place", waiting)).release();
  },
);

tests("a session that takes no links is left alone: who comes is refused, as ever", async () => {
  const exclusive = new Exclusive();
  const { claim } = countedPlace();
  const [first, second] = [linkOf(), linkOf()];
  const place = await exclusive.claim("a", first.link, claim);
  assert.not.ok(exclusive.takesLinks("a"));
  await failure(exclusive.look("a", async () => {}));
  await failure(exclusive.claim("a", second.link, claim));
  await place.release();
});

/** A session that has a place, and what is asked of it. */
async function holderOf(exclusive: Exclusive, name: string, options: { isAlive?: boolean } = {}) {
  const { counts, claim } = countedPlace();
  const { link, gone } = linkOf();
  const events: string[] = [];
  const state = { isAlive: options.isAlive ?? true };
  const place = await exclusive.claim(name, link, claim, {
    describe: () => "in use since noon",
    async isAlive() {
      events.push("is asked");
      if (!state.isAlive) gone.resolve();
      return state.isAlive;
    },
    end: ({ message, closeCode }) => events.push(`${message} (${closeCode})`),
  });
  return { counts, claim, place, events, state };
}

const wordsOf = async (promise: Promise<unknown>) => wordsForOthers(await failure(promise));

tests("a newcomer is refused when the session there answers, and told who that is", async () => {
  const exclusive = new Exclusive();
  const { claim, place, events } = await holderOf(exclusive, "a");
  assert.is(await wordsOf(exclusive.look("a", async () => {})), "in use since noon");
  assert.is(await wordsOf(exclusive.claim("a", linkOf().link, claim)), "in use since noon");
  assert.equal(events, ["is asked", "is asked"]);
  const error = await failure(exclusive.claim("a", linkOf().link, claim));
  assert.is((error as { closeCode?: number }).closeCode, 4002);
  await place.release();
});

tests(
  "a session that does not answer gives way, and the newcomer has the place when it has left",
  async () => {
    const exclusive = new Exclusive();
    const { claim, place, counts } = await holderOf(exclusive, "a", { isAlive: false });
    const looking = exclusive.look("a", async () => {});
    const claiming = exclusive.claim("a", linkOf().link, claim);
    assert.ok(await isPending(looking));
    assert.ok(await isPending(claiming));
    await place.release();
    await within(1000, "the look", looking);
    await (await within(1000, "the place", claiming)).release();
    assert.is(counts.most, 1);
  },
);

tests("a newcomer that leaves while it waits has no place afterwards, and the next one has it", async () => {
  const exclusive = new Exclusive();
  const { place } = await holderOf(exclusive, "a");
  const newcomer = linkOf();
  let claims = 0;
  const claim = async () => {
    claims++;
    return countedPlace().claim();
  };
  const taking = exclusive.claim("a", newcomer.link, claim, { takeOver });
  newcomer.gone.resolve();
  const { message } = await within(5000, "its end", failure(taking));
  assert.is(message, 'left while it waited for configuration "a"');
  await place.release();
  await (await exclusive.claim("a", linkOf().link, claim)).release();
  assert.is(claims, 1);
});

const takeOver = { by: "10.9.0.2", isAllowed: true, interval: 10_000 };

tests("what was found out of a place counts no more once another configuration holds", async () => {
  const exclusive = new Exclusive();
  const look = (fault?: string) =>
    exclusive.look("a", async () => {
      if (fault) throw new Error(fault);
    });
  await look();
  await look("is not looked at: it was free just now");
  exclusive.forgetLooks();
  assert.match((await failure(look("the new one is in use"))).message, /the new one is in use/);
  // One that is under way has the place for a moment, also then.
  const under = deferred<void>();
  const looking = exclusive.look("a", () => under.promise);
  exclusive.forgetLooks();
  const claiming = exclusive.claim("a", { closed: new Promise<void>(() => {}) }, countedPlace().claim);
  assert.ok(await isPending(claiming));
  under.resolve();
  await looking;
  await (await claiming).release();
});

tests("a takeover ends the session there, and waits until it has left", async () => {
  const exclusive = new Exclusive();
  const { claim, place, counts, events } = await holderOf(exclusive, "a");
  await exclusive.look("a", () => Promise.reject(new Error("the place is not free")), { takeOver });
  assert.equal(events, [], "a look ends nothing");
  const taking = exclusive.claim("a", linkOf().link, claim, { takeOver });
  assert.ok(await isPending(taking));
  assert.equal(events, ["taken over by 10.9.0.2 (4001)", "is asked"]);
  const third = await failure(exclusive.claim("a", linkOf().link, claim));
  assert.match(third.message, /is in use/, "whose place is being taken over is still there");
  await place.release();
  await (await within(1000, "the place", taking)).release();
  assert.is(counts.most, 1);
});

tests("takeovers of a place have to be so long apart, and those of another place do not count", async () => {
  let now = 0;
  const exclusive = new Exclusive(() => now);
  const one = await holderOf(exclusive, "a");
  const other = await holderOf(exclusive, "b");
  const take = async ({ place }: typeof one, name: string) => {
    const taking = exclusive.claim(name, linkOf().link, one.claim, { takeOver, end: () => {} });
    await Promise.resolve();
    await place.release();
    return within(1000, "the place", taking);
  };
  const second = await take(one, "a");
  const third = await take(other, "b");
  now = 3500;
  const words = "this configuration was taken over 3 s ago; it can be again in 7 s";
  assert.is(await wordsOf(exclusive.look("a", async () => {}, { takeOver })), words);
  assert.is(await wordsOf(exclusive.claim("a", linkOf().link, one.claim, { takeOver })), words);
  now = 10_000;
  await exclusive.look("a", async () => {}, { takeOver });
  const taking = exclusive.claim("a", linkOf().link, one.claim, { takeOver });
  await Promise.resolve();
  await second.release();
  await (await within(1000, "the place", taking)).release();
  await third.release();
});

tests("where it is forbidden nothing is taken over", async () => {
  const exclusive = new Exclusive();
  const { claim, place, events } = await holderOf(exclusive, "a");
  const forbidden = { ...takeOver, isAllowed: false };
  const words = "this configuration cannot be taken over: its session has to end first";
  const refusal = await failure(exclusive.look("a", async () => {}, { takeOver: forbidden }));
  assert.is(wordsForOthers(refusal), words);
  assert.is((refusal as { closeCode?: number }).closeCode, undefined, "the page offers no takeover");
  assert.is(await wordsOf(exclusive.claim("a", linkOf().link, claim, { takeOver: forbidden })), words);
  assert.equal(events, []);
  await place.release();
  await (await exclusive.claim("a", linkOf().link, claim, { takeOver: forbidden })).release();
});

tests("of several that take over at once each has the place alone, one after the other", async () => {
  const exclusive = new Exclusive();
  const { counts, claim } = countedPlace();
  const order: number[] = [];
  const takeOne = async (number: number) => {
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const place = await exclusive.claim("a", linkOf().link, claim, {
      takeOver: { ...takeOver, interval: 0 },
      end,
    });
    order.push(number);
    if (number < 10) await ended;
    await place.release();
  };
  await within(5000, "all of them", Promise.all(Array.from({ length: 10 }, (_, i) => takeOne(i + 1))));
  assert.equal(order, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.is(counts.most, 1);
});

tests.run();
