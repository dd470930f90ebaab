/** The links of a session, one after another: which of several goes on, and what becomes of the others. */
import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { sampled } from "../../../src/export/samples.ts";
import { type BegunHandshake, beginHandshake } from "../../../src/nbd/client/begun-handshake.ts";
import { LinkError } from "../../../src/nbd/error.ts";
import { introducing } from "../../../src/nbd/server/introducing.ts";
import { serveClient } from "../../../src/nbd/server/nbd-server.ts";
import { newWord } from "../../../src/nbd/word.ts";
import { type LinkedExport, linkedExport } from "../../../src/node/session/linked-export.ts";
import type { BegunLink } from "../../../src/node/session/links.ts";
import { SessionRecord } from "../../../src/node/session/session-state.ts";
import { AnotherMediumError, Succession } from "../../../src/node/session/succession.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { failure, isPending, sequence } from "../../bytes.ts";
import { suite, until, within } from "../../harness.ts";

const NONCE = newWord();
const BYTES = sequence(1 << 16);

/** A link to a server, with what is done to it. */
interface Offered extends BegunLink {
  handshake: BegunHandshake;
  refusals: Error[];
  /** Settles when its transport is over. */
  closed: Promise<void>;
}

async function offered(target: Export = memoryExport(BYTES.slice())): Promise<Offered> {
  const [near, far] = transportPair();
  const introduction = introducing({
    answer: async ({ nonce }) => ({
      ...{ name: "disk", size: target.size, modified: 1, incarnation: "one" },
      ...{ samples: await sampled(memoryExport(BYTES), nonce), proof: undefined, changed: undefined },
    }),
    keep: () => {},
  });
  serveClient(far, target, { introduction }).catch(() => {});
  const handshake = await beginHandshake(near, { introduce: { nonce: NONCE, wait: 300 } });
  const refusals: Error[] = [];
  return {
    handshake,
    connection: { address: "", silence: 0, closeCode: undefined, isAlive: async () => true },
    succession: new Error("another one came"),
    refusals,
    closed: near.closed,
    refuse(reason) {
      refusals.push(reason);
      handshake.refuse(reason);
    },
  };
}

interface Context {
  ending: AbortController;
  lines: string[];
  succession: Succession;
  first: LinkedExport;
  offer(link: BegunLink): void;
}

const tests = suite<Context>("the links of a session");

tests.before.each(async (context) => {
  context.ending = new AbortController();
  context.lines = [];
  const queue: BegunLink[] = [];
  let wake = deferred();
  context.offer = (link) => {
    queue.push(link);
    wake.resolve();
  };
  const { signal } = context.ending;
  context.first = (await linkedExport(await offered(), { timeout: 0, silence: 0, signal }))!;
  context.succession = new Succession({
    ...{ first: context.first, nonce: NONCE, patience: 60, timeout: 0, isReadOnly: true, signal },
    async links() {
      while (queue.length === 0) {
        wake = deferred();
        await wake.promise;
      }
      return queue.shift();
    },
    log: (line) => context.lines.push(line),
    record: new SessionRecord(() => {}),
  });
});
tests.after.each(({ ending, succession }) => {
  ending.abort(new Error("the test is over"));
  succession.current.close();
});

const LOST = { error: new LinkError("cut") };
const never = new AbortController().signal;

/** An export whose reads of more than what is sampled wait. */
function hanging(): Export & { hangs: boolean } {
  const memory = memoryExport(BYTES.slice());
  const target = { ...memory, hangs: false };
  target.read = async (offset, length, options) => {
    target.hangs = true;
    await new Promise(() => {});
    return memory.read(offset, length, options);
  };
  return target;
}

tests("a link that hangs while it is tried does not keep out the next one", async ({ succession, offer }) => {
  const opening = succession.open(LOST, never);
  const target = hanging();
  const second = await offered(target);
  offer(second);
  await until("the second is tried", () => target.hangs);
  const third = await offered();
  offer(third);
  const { target: export3 } = await within(5000, "the third", opening);
  assert.equal(await export3.read(0, 512), BYTES.subarray(0, 512));
  assert.is(await within(5000, "the end of the second", failure(second.closed)), third.succession);
  assert.ok(await isPending(third.closed));
});

tests(
  "one that was tried and has another medium is refused once, and cannot be used again",
  async (context) => {
    const { succession, offer, lines } = context;
    const opening = succession.open(LOST, never);
    succession.kept = { sample: () => [{ offset: 8192, bytes: new Uint8Array(512).fill(7) }] };
    const second = await offered();
    offer(second);
    await until("it is refused", () => lines.some((line) => /a new link was refused/.test(line)));
    assert.instance(await within(5000, "its end", failure(second.closed)), AnotherMediumError);
    assert.equal(second.refusals, [], "its handshake is over");
    succession.kept = undefined;
    offer(await offered());
    await within(5000, "the right one", opening);
  },
);

tests("what comes when the wait is over is not kept waiting", async ({ succession, offer }) => {
  const closing = new AbortController();
  const opening = succession.open(LOST, closing.signal);
  const target = hanging();
  const second = await offered(target);
  offer(second);
  await until("the second is tried", () => target.hangs);
  closing.abort();
  await within(5000, "the end", failure(opening));
  const third = await offered();
  offer(third);
  assert.match((await within(5000, "the end of the third", failure(third.closed))).message, /has just ended/);
});

tests.run();
