import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Described, Describer } from "../../../src/nbd/describe/describer.ts";
import { concat } from "../../../src/streams/concat.ts";
import { parseConversation } from "../../../src/transport/conversation.ts";
import { ascii, cut, hex } from "../../bytes.ts";
import * as sessions from "./sessions.ts";

const tests = suite("describe");

/** Messages with the parts of their data joined, "(data)" as its comment. */
function joined(described: readonly Described[]): Described[] {
  const messages: Described[] = [];
  for (const { from, bytes, comment } of described) {
    const last = messages.at(-1);
    if (comment === undefined && last?.comment === "(data)" && last.from === from) {
      last.bytes = concat([last.bytes, bytes]);
    } else messages.push({ from, bytes, comment: comment ?? "(data)" });
  }
  return messages;
}

const messagesOf = (session: string) =>
  parseConversation(session).map(({ from, bytes, comment }) => ({ from, bytes, comment: comment ?? "" }));

for (const [name, session] of Object.entries(sessions)) {
  const expected = messagesOf(session);
  for (const chunkSize of [1, 3, 28, 1000]) {
    tests(`every message of a session with ${name} messages, in chunks of ${chunkSize}`, () => {
      const describer = new Describer();
      const described: Described[] = [];
      for (const { from, bytes } of expected) {
        for (let at = 0; at < bytes.byteLength; at += chunkSize) {
          described.push(...describer.push({ from, bytes: bytes.subarray(at, at + chunkSize) }));
        }
      }
      assert.equal(describer.end(), []);
      assert.equal(joined(described), expected);
    });
  }
}

const greeted = () => {
  const describer = new Describer();
  for (const said of messagesOf(sessions.simple).slice(0, 2)) describer.push(said);
  return describer;
};
const message = (text: string) => parseConversation(text)[0]!;

tests("GO with what it asks for, and block sizes", () => {
  const describer = greeted();
  const go = message("C 49484156454f5054 00000007 0000000a 00000000 0002 0001 0003");
  assert.is(describer.push(go)[0]!.comment, 'GO "" wants NAME, BLOCK_SIZE');
  const sizes = message("S 0003e889045565a9 00000007 00000003 0000000e 0003 00000001 00001000 02000000");
  assert.is(
    describer.push(sizes)[0]!.comment,
    "reply to GO: INFO BLOCK_SIZE, minimum 1, preferred 4096, maximum 33554432",
  );
});

tests("from what is not understood on, bytes are passed on as they are", () => {
  const describer = greeted();
  const strange = message("S 668e33ee 0001 0001 00*16 aa");
  const passed = describer.push(strange);
  assert.is(passed[0]!.comment, "not understood: a server message with the magic 0x668e33ee");
  assert.equal(concat(passed.map(({ bytes }) => bytes)), strange.bytes);
  assert.equal(describer.push(message("S 0102")), [{ from: "server", bytes: Uint8Array.of(1, 2) }]);
  // The other side is still understood.
  assert.is(describer.push(message("C 49484156454f5054 00000002 00000000"))[0]!.comment, "ABORT");
});

tests("a reply that nobody asked for is not understood", () => {
  const passed = greeted().push(message("S 67446698 00000000 0000000000000009"));
  assert.is(passed[0]!.comment, "not understood: a reply without a request, cookie 0x9");
  assert.is(passed[0]!.bytes.byteLength, 16);
});

tests("an end inside a message gives the rest", () => {
  const describer = greeted();
  assert.equal(describer.push(message("C 25609513 0000")), []);
  assert.equal(describer.end(), [
    { from: "client", bytes: message("C 25609513 0000").bytes, comment: "incomplete" },
  ]);
});

tests("bytes are only lent: what waits for its rest is kept apart from them", () => {
  const describer = greeted();
  const { bytes } = message("C 25609513 0000 0003 00*16 00000000");
  const lent = bytes.slice(0, 10);
  assert.equal(describer.push({ from: "client", bytes: lent }), []);
  lent.fill(0xff);
  assert.equal(describer.push({ from: "client", bytes: bytes.subarray(10) }), [
    { from: "client", bytes, comment: "FLUSH, cookie 0x0" },
  ]);
});

tests("long data is passed on as it comes, not held", () => {
  const describer = greeted();
  const begin = message("C 25609513 0000 0001 00*16 02000000");
  assert.is(describer.push(begin)[0]!.comment, "WRITE 33554432 bytes at 0, cookie 0x0");
  assert.is(describer.push(message("C 00*1000"))[0]!.bytes.byteLength, 1000);
});

/** The option by which a gateway gives a key of 22 characters. */
const keyOption = (key: string) =>
  hex(`49484156454f5054 00000009 00000030 00000000 00000001 00000024 ${ascii(`nbd-proxy:key=${key}`)}`);
const KEY = "EBESExQVFhcYGRobHB0eHw";
const MASKED = "A".repeat(KEY.length);

for (const chunkSize of [1, 7, 1000]) {
  tests(`a gateway's key is masked, in bytes and words, in chunks of ${chunkSize}`, () => {
    const describer = greeted();
    const said = cut(keyOption(KEY), chunkSize);
    const described = said.flatMap((bytes) => describer.push({ from: "client", bytes }));
    assert.equal(described, [
      {
        from: "client",
        bytes: keyOption(MASKED),
        comment: `LIST_META_CONTEXT "" queries "nbd-proxy:key=${MASKED}"`,
      },
    ]);
    assert.equal(concat(said), keyOption(KEY), "the bytes themselves are sent as they are");
  });
}

tests("the beginning of a key is masked too", () => {
  for (let missing = 1; missing < KEY.length; missing++) {
    const describer = greeted();
    const bytes = keyOption(KEY);
    describer.push({ from: "client", bytes: bytes.subarray(0, -missing) });
    const [rest] = describer.end();
    assert.equal(rest!.bytes, keyOption(MASKED).subarray(0, -missing), `${missing} bytes missing`);
  }
});

tests("what a server answers about a key is no secret", () => {
  const describer = greeted();
  const answer = hex(`0003e889045565a9 00000009 00000004 00000016 00000000 ${ascii("nbd-proxy:key=kept")}`);
  assert.equal(describer.push({ from: "server", bytes: answer }), [
    {
      from: "server",
      bytes: answer,
      comment: 'reply to LIST_META_CONTEXT: META_CONTEXT "nbd-proxy:key=kept", id 0',
    },
  ]);
});

tests.run();
