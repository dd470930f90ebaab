import { suite } from "uvu";
import * as assert from "uvu/assert";
import { linksOf, nextLink } from "../../../src/node/session/links.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import type { Transport } from "../../../src/streams/duplex.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { failure } from "../../bytes.ts";
import { within } from "../../harness.ts";

const tests = suite("links of a session");
const never = new AbortController().signal;

tests("a transport is a supply of one link", async () => {
  const [near] = transportPair();
  const links = linksOf(near);
  assert.is(await nextLink(links, never), near);
  assert.is(await nextLink(links, never), undefined);
});

tests("a supply is asked for each link, and its failure is passed on", async () => {
  const [[first], [second]] = [transportPair(), transportPair()];
  const all = [first, second];
  const links = linksOf(async () => all.shift());
  assert.is(await nextLink(links, never), first);
  assert.is(await nextLink(links, never), second);
  assert.is(await nextLink(links, never), undefined);
  const reason = new Error("no more");
  assert.is(await failure(nextLink(() => Promise.reject(reason), never)), reason);
  assert.is(
    await failure(
      nextLink(() => {
        throw reason;
      }, never),
    ),
    reason,
  );
});

tests("what a supply gives in place of a transport is refused, in words", async () => {
  const wrong = { readable: 1 } as unknown as Transport;
  const error = await failure(nextLink(async () => wrong, never));
  assert.instance(error, TypeError);
  assert.match(error.message, /^the transport of the next link must be a transport/);
});

tests(
  "nobody waits for a link any more once the signal is aborted; one that comes later is closed",
  async () => {
    const reason = new Error("the session is over");
    const ending = new AbortController();
    const coming = deferred<Transport>();
    let told: AbortSignal | undefined;
    const waiting = nextLink((signal) => {
      told = signal;
      return coming.promise;
    }, ending.signal);
    ending.abort(reason);
    assert.is(await within(1000, "the end of the wait", waiting), undefined);
    assert.ok(told?.aborted);
    const [near] = transportPair();
    coming.resolve(near);
    assert.is(await within(1000, "the late link", failure(near.closed)), reason);

    const [left] = transportPair();
    assert.is(await nextLink(linksOf(left), AbortSignal.abort(reason)), undefined);
    assert.is(await within(1000, "the link of a session that never began", failure(left.closed)), reason);
  },
);

tests.run();
