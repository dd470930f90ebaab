import * as assert from "uvu/assert";
import { NoAnswerError } from "../../../src/nbd/error.ts";
import { endWhenSilent } from "../../../src/node/session/last-answers.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { suite, until } from "../../harness.ts";

const tests = suite("the last answers of a link");

/** A link that the test plays. */
function played() {
  const link = { unanswered: 0, received: 0, reason: undefined as unknown, ended: deferred() };
  const ending = new AbortController();
  const transport = {
    close(reason: unknown) {
      link.reason = reason;
      link.ended.resolve();
    },
  };
  const remote = {
    get unanswered() {
      return link.unanswered;
    },
    closed: link.ended.promise,
  };
  endWhenSilent(remote, transport, () => link.received, ending.signal);
  return { link, end: () => ending.abort() };
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

tests(
  "a link on which nothing comes counts as lost, once the end was asked for and while something is outstanding",
  async () => {
    const silent = played();
    const idle = played();
    const slow = played();
    const wanted = played();
    for (const { link } of [silent, slow, wanted]) link.unanswered = 3;
    for (const { end } of [silent, idle, slow]) end();
    const trickle = setInterval(() => slow.link.received++, 200);
    const since = performance.now();
    await until("the silent link is closed", () => silent.link.reason !== undefined, 20_000);
    assert.ok(performance.now() - since >= 5000, "not before its time");
    assert.instance(silent.link.reason, NoAnswerError);
    assert.is(
      (silent.link.reason as Error).message,
      "nothing came from the other side for 5 s after the end was asked for, with 3 requests unanswered",
    );
    await pause(1000);
    clearInterval(trickle);
    for (const { link } of [idle, slow, wanted]) {
      assert.is(link.reason, undefined);
      link.ended.resolve();
    }
  },
);

tests.run();
