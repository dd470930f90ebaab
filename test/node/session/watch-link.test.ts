/** Signs of life on a link on which nothing is asked for. */
import * as assert from "uvu/assert";
import { watchLink } from "../../../src/node/session/watch-link.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { suite, until } from "../../harness.ts";

const tests = suite<{ end(): void }>("watching a link");
const TIMES = { look: 2, quiet: 10, answer: 7 };

function watched(context: { end(): void }, silence: number, isAnswered: boolean) {
  const closed = deferred();
  context.end = closed.resolve;
  const counts = { reads: 0, pings: 0 };
  const remote = {
    size: 4096,
    closed: closed.promise,
    requests: 0n,
    async read(offset: number, length: number) {
      assert.equal([offset, length], [0, 512]);
      counts.reads++;
      remote.requests++;
      return isAnswered ? new Uint8Array(length) : new Promise<never>(() => {});
    },
  };
  const connection = {
    silence,
    async isAlive(milliseconds: number) {
      assert.is(milliseconds, TIMES.answer);
      counts.pings++;
      return true;
    },
  };
  watchLink(remote, connection, TIMES);
  return { counts, remote };
}

tests.after.each(({ end }) => end());

tests("a page is asked for something though pings are answered, or replies still come", async (context) => {
  const { counts } = watched(context, 0, true);
  await until("it is asked again and again", () => counts.reads > 20);
  assert.is(counts.pings, 0);
});

tests("a page that has not answered yet is asked again, a few times", async (context) => {
  const { counts } = watched(context, 0, false);
  await until("it is asked", () => counts.reads === 8);
  await new Promise((resolve) => setTimeout(resolve, 10 * TIMES.quiet));
  assert.is(counts.reads, 8);
});

tests(
  "one of whom nothing is heard is pinged; one that is asked for something else is not asked",
  async (context) => {
    const { counts, remote } = watched(context, TIMES.quiet, true);
    // Between two looks there is always another request.
    Object.defineProperty(remote, "requests", {
      get: (() => {
        let count = 0n;
        return () => ++count;
      })(),
    });
    const before = counts.reads;
    await until("it is pinged", () => counts.pings > 20);
    assert.ok(counts.reads <= before + 1);
  },
);

tests.run();
