import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exclusive } from "../../../src/node/gateway/exclusive.ts";
import type { Place } from "../../../src/node/session/place.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import type { Transport } from "../../../src/streams/duplex.ts";
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
  return { link: { closed: gone.promise } as Transport, gone };
}

tests("a session that takes new links is given one in place of a refusal", async () => {
  const exclusive = new Exclusive();
  const { counts, claim } = countedPlace();
  const taken: Transport[] = [];
  let takes = true;
  const handOver = (link: Transport) => {
    if (takes) taken.push(link);
    return takes;
  };
  const [first, second, third, last] = [linkOf(), linkOf(), linkOf(), linkOf()];
  assert.not.ok(exclusive.handOver("a", first.link), "nobody has the place");
  const place = await exclusive.claim("a", first.link, claim, { handOver });
  assert.not.ok(exclusive.handOver("b", second.link), "that is another place");
  first.gone.resolve();
  await first.gone.promise;
  assert.ok(exclusive.handOver("a", second.link));
  assert.equal(taken, [second.link]);

  takes = false;
  assert.not.ok(exclusive.handOver("a", third.link));
  // The session has a link again: nobody waits for it to leave.
  const refused = await within(1000, "the refusal", failure(exclusive.claim("a", third.link, claim)));
  assert.is(refused.message, 'configuration "a" is in use by another session');

  second.gone.reject(new Error("the network is gone"));
  await failure(second.gone.promise);
  const waiting = exclusive.claim("a", last.link, claim);
  assert.ok(await isPending(waiting), "its last link is gone, so it is waited for");
  await place.release();
  await (await within(1000, "the place", waiting)).release();
  assert.is(counts.most, 1);
});

tests("the end of a link that was replaced is not the end of its session", async () => {
  const exclusive = new Exclusive();
  const { claim } = countedPlace();
  const [first, second, third] = [linkOf(), linkOf(), linkOf()];
  const place = await exclusive.claim("a", first.link, claim, { handOver: () => true });
  assert.ok(exclusive.handOver("a", second.link));
  first.gone.resolve();
  await first.gone.promise;
  await within(1000, "the refusal", failure(exclusive.claim("a", third.link, claim)));
  await place.release();
});

tests("a session that takes no links is left alone: who comes is refused, as ever", async () => {
  const exclusive = new Exclusive();
  const { claim } = countedPlace();
  const [first, second] = [linkOf(), linkOf()];
  const place = await exclusive.claim("a", first.link, claim);
  assert.not.ok(exclusive.handOver("a", second.link));
  await failure(exclusive.look("a", async () => {}));
  await failure(exclusive.claim("a", second.link, claim));
  await place.release();
});

tests.run();
