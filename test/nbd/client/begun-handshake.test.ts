import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../../src/export/memory.ts";
import { type BeginHandshakeOptions, beginHandshake } from "../../../src/nbd/client/begun-handshake.ts";
import { LinkError, ProtocolError, RefusedError } from "../../../src/nbd/error.ts";
import type { GatewayIntroduction, Introduction } from "../../../src/nbd/introduction.ts";
import { proofOf } from "../../../src/nbd/proof.ts";
import { introducing } from "../../../src/nbd/server/introducing.ts";
import { nbdServer } from "../../../src/nbd/server/nbd-server.ts";
import { join } from "../../../src/streams/join.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { UnexpectedEndError } from "../../../src/streams/parse.ts";
import { ascii, failure, isPending, sequence, toHex } from "../../bytes.ts";
import { within } from "../../harness.ts";
import { Peer } from "../peer.ts";
import { FLAGS, GREETING, greeting, number, option, optionReply as reply } from "../words.ts";

const tests = suite("a handshake in two parts");

const NONCE = "EBESExQVFhcYGRobHB0eHw";
const KEY = "AAECAwQFBgcICQoLDA0ODw";
const OTHER_KEY = "DwAECAwQFBgcICQoLDA0Dg";
const introduce = { nonce: NONCE, wait: 300 };

const [LIST_CONTEXT, SET_CONTEXT, GO] = ["00000009", "0000000a", "00000007"];
const [ACK, REP_INFO, META_CONTEXT, UNSUP] = ["00000001", "00000003", "00000004", "80000001"];
const [STRUCTURED, EXTENDED] = ["00000008", "0000000b"];
const ABORT = option("00000002");

const told: Introduction = {
  ...{ name: "disk.img", size: 65536, modified: 1234, samples: sequence(256) },
  ...{ incarnation: "first", proof: undefined, changed: undefined },
};

/** Our server of a disk in memory, which keeps a key, and our client of it. */
async function begun({ key, changed }: { key?: string; changed?: string } = {}) {
  const [near, far] = transportPair();
  const asked: GatewayIntroduction[] = [];
  const kept: string[] = [];
  const introduction = introducing({
    async answer(gateway) {
      asked.push(gateway);
      return { ...told, changed, proof: key && proofOf(key, gateway.challenge) };
    },
    keep: (key) => void kept.push(key),
  });
  const served = join(far, nbdServer(memoryExport(sequence(5000)), { name: "disk.img", introduction }));
  served.catch(() => {});
  return { begun: await beginHandshake(near, { introduce }), asked, kept, served };
}

tests("both introduce themselves, and the server keeps a key", async () => {
  const { begun: handshake, asked, kept, served } = await begun();
  assert.equal(handshake.introduction, told);
  assert.is(asked.length, 1);
  assert.equal({ ...asked[0]!, challenge: "" }, { challenge: "", nonce: NONCE, wait: 300 });
  assert.equal(kept, []);
  assert.not.ok(handshake.provesKey(KEY));
  const remote = await handshake.finish({ key: KEY });
  assert.equal(kept, [KEY]);
  assert.is(remote.name, "disk.img");
  assert.equal(await remote.read(0, 5000), sequence(5000));
  assert.ok(remote.extents, "base:allocation is selected as ever");
  await remote.close();
  await served;
});

tests("a server that has the key proves it, anew for each link", async () => {
  const first = await begun({ key: KEY, changed: "it is longer" });
  const second = await begun({ key: KEY });
  assert.is(first.begun.introduction!.changed, "it is longer");
  for (const { begun: handshake, kept } of [first, second]) {
    assert.ok(handshake.provesKey(KEY));
    assert.not.ok(handshake.provesKey(OTHER_KEY));
    await (await handshake.finish()).close();
    assert.equal(kept, []);
  }
  assert.is.not(first.asked[0]!.challenge, second.asked[0]!.challenge);
  assert.is.not(first.begun.introduction!.proof, second.begun.introduction!.proof);
});

/** A server that is written out. */
function spoken(options: BeginHandshakeOptions = {}) {
  const [near, far] = transportPair();
  const handshake = beginHandshake(near, options);
  handshake.catch(() => {});
  return { peer: new Peer(far), handshake, near };
}

const information = reply(GO!, REP_INFO, "0000 0000000000030201 0183") + reply(GO!, ACK);
const text = (words: string) => `${number(words.length, 8)} ${ascii(words)}`;
const ALLOCATION = option(SET_CONTEXT!, `00000000 00000001 ${text("base:allocation")}`);
const GO_EMPTY = option(GO!, "00000000 0003 0001 0002 0003");
const context = (name: string) => reply(LIST_CONTEXT!, META_CONTEXT, `00000000 ${ascii(name)}`);
const introduced = (change: object = {}) =>
  `nbd-proxy:introduced=${JSON.stringify({ version: 1, name: "", size: 0, modified: null, samples: "", incarnation: "a", ...change })}`;

tests("without an introduction, nothing is said before the handshake is finished", async () => {
  const { peer, handshake } = spoken();
  await peer.say(GREETING);
  const begun = await handshake;
  await peer.expectSilence();
  assert.is(begun.introduction, undefined);
  assert.not.ok(begun.provesKey(KEY));
  const remote = begun.finish({ key: KEY });
  await peer.expect(`${FLAGS} ${option(EXTENDED)}`);
  await peer.say(reply(EXTENDED, ACK));
  // Who has not introduced itself is given no key.
  await peer.expect(ALLOCATION);
  await peer.say(reply(SET_CONTEXT!, ACK));
  await peer.expect(GO_EMPTY);
  await peer.say(information);
  assert.is((await remote).size, 0x30201);
});

/** Goes on to the question for the server's introduction. */
async function askedToIntroduce(options: BeginHandshakeOptions = {}) {
  const session = spoken({ introduce, ...options });
  const { peer } = session;
  await peer.say(GREETING);
  await peer.expect(`${FLAGS} ${option(EXTENDED)}`);
  await peer.say(reply(EXTENDED, ACK));
  const asking = Buffer.from(await peer.take(16 + 12 + "nbd-proxy:introduce=1,".length + 22 + 1 + 22 + 4));
  assert.match(
    asking.toString("latin1"),
    new RegExp(`^IHAVEOPT\\0{3}\\t\\0{3}S\\0{7}\\x01\\0{3}Gnbd-proxy:introduce=1,[\\w-]{22},${NONCE},300$`),
  );
  return session;
}

/** Finishes a handshake after the introduction. */
async function finished(session: Awaited<ReturnType<typeof askedToIntroduce>>) {
  const { peer, handshake } = session;
  const remote = (await handshake).finish({ key: KEY });
  await peer.expect(ALLOCATION);
  await peer.say(reply(SET_CONTEXT!, ACK));
  await peer.expect(GO_EMPTY);
  await peer.say(information);
  assert.is((await remote).size, 0x30201);
}

tests("the key comes before the contexts and the export, and the answer to it may be anything", async () => {
  for (const answer of [
    context("nbd-proxy:key=kept") + reply(LIST_CONTEXT!, ACK),
    reply(LIST_CONTEXT!, ACK),
    reply(LIST_CONTEXT!, UNSUP, ascii(`what is ${KEY}?`)),
  ]) {
    const { peer, handshake } = await askedToIntroduce();
    await peer.say(context(introduced()) + reply(LIST_CONTEXT!, ACK));
    const begun = await handshake;
    assert.equal(begun.introduction, {
      ...{ name: "", size: 0, modified: undefined, samples: new Uint8Array(0), incarnation: "a" },
      ...{ proof: undefined, changed: undefined },
    });
    await peer.expectSilence();
    const remote = begun.finish({ key: KEY });
    await peer.expect(option(LIST_CONTEXT!, `00000000 00000001 ${text(`nbd-proxy:key=${KEY}`)}`));
    await peer.say(answer);
    await peer.expect(ALLOCATION);
    await peer.say(reply(SET_CONTEXT!, ACK));
    await peer.expect(GO_EMPTY);
    await peer.say(information);
    assert.is((await remote).size, 0x30201);
  }
});

for (const [what, answer] of [
  ["does not know the option", reply(LIST_CONTEXT!, UNSUP)],
  ["refuses the query", reply(LIST_CONTEXT!, "80000003", ascii("invalid"))],
  ["refuses after some contexts", context("base:allocation") + reply(LIST_CONTEXT!, "80000009")],
  ["refuses after its introduction", context(introduced()) + reply(LIST_CONTEXT!, "80000009")],
  ["has no such context", reply(LIST_CONTEXT!, ACK)],
  [
    "tells of others",
    `${context("base:allocation")} ${context("x-nbd-proxy:1").repeat(99)} ${reply(LIST_CONTEXT!, ACK)}`,
  ],
] as const) {
  tests(`a server that ${what} has no introduction, and is as good as any`, async () => {
    const session = await askedToIntroduce();
    await session.peer.say(answer);
    assert.is((await session.handshake).introduction, undefined);
    await finished(session);
  });
}

tests("a server without structured replies, and one of the first generation, is not asked", async () => {
  const simple = spoken({ introduce });
  await simple.peer.say(GREETING);
  await simple.peer.expect(`${FLAGS} ${option(EXTENDED)}`);
  await simple.peer.say(reply(EXTENDED, UNSUP));
  await simple.peer.expect(option(STRUCTURED));
  await simple.peer.say(reply(STRUCTURED, UNSUP));
  assert.is((await simple.handshake).introduction, undefined);
  await simple.peer.expectSilence();
  (await simple.handshake).finish({ key: KEY }).catch(() => {});
  await simple.peer.expect(GO_EMPTY);

  const first = spoken({ introduce });
  await first.peer.say(greeting("0000"));
  await first.peer.expect("00000000");
  assert.is((await first.handshake).introduction, undefined);
  const remote = (await first.handshake).finish({ key: KEY });
  await first.peer.expect(option("00000001"));
  await first.peer.say(`0000000000030201 0003 ${"00".repeat(124)}`);
  assert.is((await remote).size, 0x30201);
});

for (const [what, answer, message] of [
  ["an introduction that is no JSON", context("nbd-proxy:introduced=x"), /introduction that makes no sense/],
  ["one of version 2", context(introduced({ version: 2 })), /introduction that makes no sense/],
  ["another context of ours", context("nbd-proxy:key=kept"), /introduction that makes no sense/],
  ["two introductions", context(introduced()).repeat(2), /more than one metadata context of nbd-proxy:/],
  ["contexts without end", context("base:allocation").repeat(1025), /more than 1024 contexts/],
  ["a reply that is too long", `0003e889045565a9 ${LIST_CONTEXT} ${META_CONTEXT} 00004001`, /16385 bytes/],
  ["another reply", reply(LIST_CONTEXT!, REP_INFO), /LIST_META_CONTEXT with INFO/],
] as const) {
  tests(`${what}: ProtocolError, and the transport is closed`, async () => {
    const { peer, handshake, near } = await askedToIntroduce();
    await peer.say(answer + reply(LIST_CONTEXT!, ACK));
    const error = await within(5000, "the verdict", failure(handshake));
    assert.instance(error, ProtocolError);
    assert.match(error.message, message);
    assert.is(await failure(near.closed), error);
  });
}

tests("an answer about the key that is rubbish tells nothing of the key", async () => {
  const { peer, handshake } = await askedToIntroduce();
  await peer.say(context(introduced()) + reply(LIST_CONTEXT!, ACK));
  const failed = failure((await handshake).finish({ key: KEY }));
  await peer.take(16 + 12 + 36);
  await peer.say(context(`nbd-proxy:key=${KEY}`).repeat(2));
  const error = await failed;
  assert.instance(error, ProtocolError);
  assert.not.match(error.message, KEY);
});

tests("a key that is none is not sent, nor told", async () => {
  const { begun: handshake, kept, served } = await begun();
  const error = await failure(handshake.finish({ key: `${KEY}=` }));
  assert.instance(error, TypeError);
  assert.not.match(error.message, KEY);
  await within(
    5000,
    "the end",
    served.catch(() => {}),
  );
  assert.equal(kept, []);
});

tests("a handshake that is refused: the server hears of it, and the transport is closed", async () => {
  const reason = new Error("another medium");
  const { peer, handshake, near } = await askedToIntroduce();
  await peer.say(context(introduced()) + reply(LIST_CONTEXT!, ACK));
  (await handshake).refuse(reason);
  await peer.expect(ABORT);
  assert.is(await failure(near.closed), reason);
});

tests("refused before anything was said, nothing is said", async () => {
  const reason = new Error("in use");
  const [near, far] = transportPair();
  const said: string[] = [];
  far.readable.pipeTo(new WritableStream({ write: (chunk) => void said.push(toHex(chunk)) })).catch(() => {});
  const writer = far.writable.getWriter();
  writer.write(Uint8Array.from(Buffer.from(GREETING.replaceAll(" ", ""), "hex"))).catch(() => {});
  (await beginHandshake(near)).refuse(reason);
  assert.is(await failure(near.closed), reason);
  assert.equal(said, []);
});

tests("a signal ends the part that it was given for, and no other", async () => {
  const first = new AbortController();
  const second = new AbortController();
  const { peer, handshake } = spoken({ signal: first.signal });
  await peer.say(GREETING);
  const begun = await handshake;
  first.abort(new Error("too late"));
  const remote = begun.finish({ signal: second.signal });
  remote.catch(() => {});
  await peer.expect(`${FLAGS} ${option(EXTENDED)}`);
  assert.ok(await isPending(remote));
  const reason = new Error("given up");
  second.abort(reason);
  assert.is(await failure(remote), reason);

  const silent = spoken({ signal: AbortSignal.abort(reason) });
  assert.is(await failure(silent.handshake), reason);
});

tests("a link that ends in between fails when it is finished", async () => {
  const { peer, handshake } = await askedToIntroduce();
  await peer.say(context(introduced()) + reply(LIST_CONTEXT!, ACK));
  const begun = await handshake;
  await peer.hangUp();
  assert.instance(await failure(begun.finish()), UnexpectedEndError);
});

tests("what the server refuses is refused, and the transport closed", async () => {
  const session = await askedToIntroduce();
  const { peer, near } = session;
  await peer.say(reply(LIST_CONTEXT!, ACK));
  const failed = failure((await session.handshake).finish());
  await peer.expect(ALLOCATION);
  await peer.say(reply(SET_CONTEXT!, ACK));
  await peer.expect(GO_EMPTY);
  await peer.say(reply(GO!, "80000002", ascii("no")));
  assert.instance(await failed, RefusedError);
  await failure(near.closed);
});

tests("the server's times do not run in between, and do before and after", async () => {
  const handshakeTimes = { greeting: 60, reply: 60, whole: 0.1 };
  const late = /^the server did not end the handshake within 0.1 s$/;
  const silent = spoken({ handshakeTimes });
  const error = await within(5000, "the verdict", failure(silent.handshake));
  assert.instance(error, LinkError);
  assert.match(error.message, late);

  // The greeting is there at once: no timer can come before it.
  const [near, far] = transportPair();
  const peer = new Peer(far);
  await peer.say(GREETING);
  const begun = await beginHandshake(near, { handshakeTimes });
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(await isPending(near.closed));
  const failed = failure(begun.finish());
  await peer.expect(`${FLAGS} ${option(EXTENDED)}`);
  assert.match((await within(5000, "the verdict", failed)).message, late);
});

tests.run();
