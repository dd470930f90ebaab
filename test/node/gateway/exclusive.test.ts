import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Exclusive } from "../../../src/node/gateway/exclusive.ts";
import type { Place } from "../../../src/node/session/place.ts";
import { deferred } from "../../../src/streams/deferred.ts";

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

tests.run();
