import { suite } from "uvu";
import * as assert from "uvu/assert";
import { clientHandshake } from "../../../src/nbd/client/handshake.ts";
import { ProtocolError, RefusedError } from "../../../src/nbd/error.ts";
import { negotiate } from "../../../src/streams/negotiate.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { UnexpectedEndError } from "../../../src/streams/parse.ts";
import { ascii, failure, toHex } from "../../bytes.ts";
import { Peer } from "../peer.ts";
import { greeting, optionReply } from "../words.ts";

const tests = suite("client handshake");

const GO_EMPTY = "49484156454f5054 00000007 0000000c 00000000 0003 0001 0002 0003";
const NAME_EMPTY = "49484156454f5054 00000001 00000000";
const ABORT = "49484156454f5054 00000002 00000000";
const reply = (kind: string, data = "", option = "00000007") => optionReply(option, kind, data);
const [ACK, INFO, UNSUP] = ["00000001", "00000003", "80000001"];
const [STRUCTURED, EXTENDED] = ["00000008", "0000000b"];
const EXPORT_INFO = reply(INFO, "0000 0000000000030201 0003");

function begin(name = "") {
  const [client, server] = transportPair();
  const outcome = negotiate(client, (dialogue) => clientHandshake(dialogue, name));
  const result = outcome.then(({ result }) => result);
  result.catch(() => {});
  return { peer: new Peer(server), outcome, result };
}

/** Knows neither extended headers nor structured replies. */
async function refuseHeaders(peer: Peer) {
  await peer.expect(`49484156454f5054 ${EXTENDED} 00000000`);
  await peer.say(reply(UNSUP, ascii("what?"), EXTENDED));
  await peer.expect(`49484156454f5054 ${STRUCTURED} 00000000`);
  await peer.say(reply(UNSUP, "", STRUCTURED));
}

/** A client that has sent GO to a fixed-newstyle server that knows neither extended headers nor structured replies. */
async function asked(name = "") {
  const session = begin(name);
  await session.peer.say(greeting("0003"));
  await session.peer.expect("00000003");
  await refuseHeaders(session.peer);
  if (name === "") await session.peer.expect(GO_EMPTY);
  return session;
}

for (const split of [1, 7, Number.POSITIVE_INFINITY]) {
  tests(`GO in chunks of ${split}: what the server told, and the bytes behind it are left`, async () => {
    const { peer, outcome } = await asked();
    await peer.say(
      EXPORT_INFO +
        reply(INFO, `0001 ${ascii("disk")}`) +
        reply(INFO, `0002 ${ascii("a disk")}`) +
        reply(INFO, "0003 00000200 00001000 00100000") +
        reply(INFO, "7777 0102") +
        reply(ACK) +
        "67446698",
      split,
    );
    const { result, rest } = await outcome;
    assert.equal(result, {
      size: 0x30201,
      flags: 3,
      name: "disk",
      description: "a disk",
      blockSize: { minimum: 512, preferred: 4096, maximum: 1 << 20 },
    });
    const reader = rest.readable.getReader();
    let left = "";
    while (left.length < 8) left += toHex((await reader.read()).value!);
    assert.is(left, "67446698");
  });
}

tests("another name is asked for in UTF-8", async () => {
  const { peer, result } = await asked("dísk");
  await peer.expect("49484156454f5054 00000007 00000011 00000005 64c3ad736b 0003 0001 0002 0003");
  await peer.say(EXPORT_INFO + reply(ACK));
  assert.is((await result).size, 0x30201);
});

tests("a server that is not fixed newstyle is asked by EXPORT_NAME at once", async () => {
  for (const [flags, answer, zeroes] of [
    ["0000", "00000000", 124],
    ["0002", "00000002", 0],
  ] as const) {
    const { peer, outcome } = begin();
    await peer.say(greeting(flags));
    await peer.expect(answer + NAME_EMPTY);
    await peer.say(`0000000000030201 0001 ${"00".repeat(zeroes)} 67`);
    const { result, rest } = await outcome;
    assert.equal(result, { size: 0x30201, flags: 1, exportNameOnly: true });
    assert.is(toHex((await rest.readable.getReader().read()).value!), "67");
  }
});

for (const flags of ["0001", "0003"]) {
  tests(`GO answered UNSUP: EXPORT_NAME is tried, handshake flags ${flags}`, async () => {
    const { peer, result } = begin("disk");
    await peer.say(greeting(flags));
    await peer.expect(`0000${flags}`);
    await refuseHeaders(peer);
    await peer.expect("49484156454f5054 00000007 00000010 00000004 6469736b 0003 0001 0002 0003");
    await peer.say(reply(UNSUP, ascii("what?")));
    await peer.expect("49484156454f5054 00000001 00000004 6469736b");
    await peer.say(`0000000000000400 0007 ${flags === "0001" ? "00".repeat(124) : ""}`);
    assert.equal(await result, { size: 1024, flags: 7, exportNameOnly: true });
  });
}

tests("handshake flags that are not known are not sent back", async () => {
  const { peer } = begin();
  await peer.say(greeting("ffff"));
  await peer.expect("00000003");
});

tests("an end instead of the reply to EXPORT_NAME is how an old server refuses", async () => {
  const { peer, outcome } = begin();
  await peer.say(greeting("0000"));
  await peer.expect(`00000000 ${NAME_EMPTY}`);
  await peer.hangUp();
  const error = await failure(outcome);
  assert.instance(error, UnexpectedEndError);
  assert.is(error.message, "the connection ended before the reply to EXPORT_NAME came");
});

for (const [code, name] of [
  ["80000002", "ERR_POLICY"],
  ["80000005", "ERR_TLS_REQD"],
  ["80000006", "ERR_UNKNOWN"],
  ["80000007", "ERR_SHUTDOWN"],
  ["8000ffff", "0x8000ffff"],
] as const) {
  tests(`refused with ${name}: the server's words, and a farewell by ABORT`, async () => {
    const { peer, outcome } = await asked();
    await peer.say(reply(code, ascii("go away")));
    await peer.expect(ABORT);
    const error = await failure(outcome);
    assert.instance(error, RefusedError);
    assert.is(error.message, `the server refused the export "": ${name}, "go away"`);
    await peer.expectEnd();
  });
}

tests(
  "control characters in the server's words do not reach the terminal, and their length is bound",
  async () => {
    const { peer, outcome } = await asked();
    const nasty = `1b5b324a ${ascii("hi")} 0d0a07 ${ascii("there")} 00 7f c285 e280ae ff ${"61".repeat(5000)}`;
    await peer.say(reply("80000006", nasty));
    await peer.expect(ABORT);
    const error = await failure(outcome);
    assert.instance(error, RefusedError);
    assert.not.ok(/[\p{C}]/u.test(error.message), JSON.stringify(error.message));
    assert.match(error.message, /"\\u\{1b\}\[2Jhi\\r\\n\\u\{7\}there/);
    assert.ok(error.message.length < 300);
  },
);

for (const [what, bytes, message] of [
  [
    "a size of 2^53",
    `${reply(INFO, "0000 0020000000000000 0001")}${reply(ACK)}`,
    "the server announced an export of more than 2^53 bytes",
  ],
  [
    "a size that reads as negative",
    `${reply(INFO, "0000 ffffffffffffffff 0001")}${reply(ACK)}`,
    "the server announced an export of more than 2^53 bytes",
  ],
  ["an ACK before the size", reply(ACK), "the server accepted GO but did not tell the export's size"],
  [
    "information of another length",
    reply(INFO, "0000 00"),
    "the server sent an NBD_INFO_EXPORT of 3 bytes, not 12",
  ],
  ["information without a type", reply(INFO, "00"), "the server sent information without a type"],
  [
    "block sizes of another length",
    reply(INFO, "0003 00000001"),
    "the server sent an NBD_INFO_BLOCK_SIZE of 6 bytes, not 14",
  ],
  [
    "a minimum block size of 0",
    reply(INFO, "0003 00000000 00001000 00100000"),
    "the server announced invalid block sizes: minimum 0, preferred 4096, maximum 1048576",
  ],
  [
    "a minimum block size that is no power of two",
    reply(INFO, "0003 00000003 00001000 00100000"),
    "the server announced invalid block sizes: minimum 3, preferred 4096, maximum 1048576",
  ],
  [
    "a minimum block size of 128 KiB",
    reply(INFO, "0003 00020000 00020000 00100000"),
    "the server announced invalid block sizes: minimum 131072, preferred 131072, maximum 1048576",
  ],
  [
    "a preferred block size below the minimum",
    reply(INFO, "0003 00001000 00000200 00100000"),
    "the server announced invalid block sizes: minimum 4096, preferred 512, maximum 1048576",
  ],
  [
    "a maximum block size below the minimum",
    reply(INFO, "0003 00001000 00001000 00000200"),
    "the server announced invalid block sizes: minimum 4096, preferred 4096, maximum 512",
  ],
  [
    "a reply of 4 GiB",
    "0003e889045565a9 00000007 00000003 ffffffff",
    "the server announced 4294967295 bytes in reply to GO",
  ],
  [
    "a reply of 16 KiB and a byte",
    "0003e889045565a9 00000007 80000006 00004001",
    "the server announced 16385 bytes in reply to GO",
  ],
  [
    "a reply to another option",
    reply(ACK, "", "00000003"),
    "the server answered option LIST, but GO was asked",
  ],
  ["a reply type that makes no sense", reply("00000002"), "the server answered GO with reply type 2"],
  [
    "a wrong reply magic",
    "0003e889045565aa 00000007 00000001 00000000",
    "an option reply began with 0x3e889045565aa where 0x3e889045565a9 was expected",
  ],
] as const) {
  tests(`${what}: ProtocolError`, async () => {
    const { peer, outcome } = await asked();
    await peer.say(bytes);
    const error = await failure(outcome);
    assert.instance(error, ProtocolError);
    assert.is(error.message, message);
  });
}

tests("a size of 2^53 - 1 is fine", async () => {
  const { peer, result } = await asked();
  await peer.say(reply(INFO, "0000 001fffffffffffff 0001") + reply(ACK));
  assert.is((await result).size, Number.MAX_SAFE_INTEGER);
});

tests("a size of 2^53 by EXPORT_NAME is refused too", async () => {
  const { peer, outcome } = begin();
  await peer.say(greeting("0002"));
  await peer.expect(`00000002 ${NAME_EMPTY}`);
  await peer.say("0020000000000000 0001");
  assert.instance(await failure(outcome), ProtocolError);
});

const SET_CONTEXT = "0000000a";
const ASK_EXTENDED = `49484156454f5054 ${EXTENDED} 00000000`;
const ASK_STRUCTURED = `49484156454f5054 ${STRUCTURED} 00000000`;
const ASK_ALLOCATION = `49484156454f5054 ${SET_CONTEXT} 0000001b 00000000 00000001 0000000f ${ascii("base:allocation")}`;
const SELECTED =
  reply("00000004", `0000002a ${ascii("base:allocation")}`, SET_CONTEXT) + reply(ACK, "", SET_CONTEXT);

/** A client that has been told that it may have these headers, and has asked for `base:allocation`. */
async function withHeaders(headers: "structured" | "extended", name = "") {
  const session = begin(name);
  const { peer } = session;
  await peer.say(greeting("0003"));
  await peer.expect(`00000003 ${ASK_EXTENDED}`);
  await peer.say(reply(headers === "extended" ? ACK : UNSUP, "", EXTENDED));
  if (headers === "structured") {
    await peer.expect(ASK_STRUCTURED);
    await peer.say(reply(ACK, "", STRUCTURED));
  }
  if (name === "") await peer.expect(ASK_ALLOCATION);
  return session;
}

for (const headers of ["structured", "extended"] as const) {
  tests(`${headers} headers and base:allocation, with the id that the server gives it`, async () => {
    const { peer, result } = await withHeaders(headers);
    await peer.say(SELECTED);
    await peer.expect(GO_EMPTY);
    await peer.say(EXPORT_INFO + reply(ACK));
    assert.equal(await result, { size: 0x30201, flags: 3, headers, allocation: 42 });
  });

  for (const [what, answer] of [
    ["no context", reply(ACK, "", SET_CONTEXT)],
    ["UNSUP", reply(UNSUP, "", SET_CONTEXT)],
    [
      "a context, then an error",
      reply("00000004", `0000002a ${ascii("base:allocation")}`, SET_CONTEXT) +
        reply("80000009", "", SET_CONTEXT),
    ],
  ] as const) {
    tests(`${headers} headers, and ${what} to SET_META_CONTEXT`, async () => {
      const { peer, result } = await withHeaders(headers);
      await peer.say(answer);
      await peer.expect(GO_EMPTY);
      await peer.say(EXPORT_INFO + reply(ACK));
      assert.equal(await result, { size: 0x30201, flags: 3, headers });
    });
  }
}

tests("the context is asked for of the export that is", async () => {
  const { peer } = await withHeaders("structured", "dísk");
  await peer.expect(
    `49484156454f5054 ${SET_CONTEXT} 00000020 00000005 64c3ad736b 00000001 0000000f ${ascii("base:allocation")}`,
  );
});

tests("structured replies, but no GO: EXPORT_NAME, and it is no first-generation server", async () => {
  const { peer, result } = await withHeaders("structured");
  await peer.say(SELECTED);
  await peer.expect(GO_EMPTY);
  await peer.say(reply(UNSUP));
  await peer.expect(NAME_EMPTY);
  await peer.say("0000000000030201 0083");
  assert.equal(await result, { size: 0x30201, flags: 0x83, headers: "structured", allocation: 42 });
});

tests("extended headers, but no GO: there is no way to go on", async () => {
  const { peer, outcome } = await withHeaders("extended");
  await peer.say(SELECTED);
  await peer.expect(GO_EMPTY);
  await peer.say(reply(UNSUP));
  const error = await failure(outcome);
  assert.instance(error, ProtocolError);
  assert.is(error.message, "the server has extended headers, but does not know GO");
});

for (const [what, answer, message] of [
  [
    "another context",
    reply("00000004", `00000001 ${ascii("base:other")}`, SET_CONTEXT),
    /contexts that it was not asked for/,
  ],
  [
    "the context twice",
    SELECTED.slice(0, SELECTED.length - reply(ACK, "", SET_CONTEXT).length).repeat(2),
    /contexts that it was not asked for/,
  ],
  [
    "half a context",
    reply("00000004", "0000", SET_CONTEXT),
    /answered SET_META_CONTEXT with META_CONTEXT of 2 bytes/,
  ],
  ["information", reply(INFO, "0000", SET_CONTEXT), /answered SET_META_CONTEXT with INFO of 2 bytes/],
  ["a reply to GO", reply(ACK), /answered option GO, but SET_META_CONTEXT was asked/],
] as const) {
  tests(`${what} in answer to SET_META_CONTEXT: ProtocolError`, async () => {
    const { peer, outcome } = await withHeaders("structured");
    await peer.say(answer);
    const error = await failure(outcome);
    assert.instance(error, ProtocolError);
    assert.match(error.message, message);
  });
}

tests("an answer to EXTENDED_HEADERS that is neither ACK nor an error: ProtocolError", async () => {
  const { peer, outcome } = begin();
  await peer.say(greeting("0003"));
  await peer.expect(`00000003 ${ASK_EXTENDED}`);
  await peer.say(reply(INFO, "", EXTENDED));
  const error = await failure(outcome);
  assert.instance(error, ProtocolError);
  assert.is(error.message, "the server answered EXTENDED_HEADERS with reply type 3");
});

tests("a description that is no UTF-8, as a name, is none", async () => {
  const { peer, result } = await asked();
  await peer.say(EXPORT_INFO + reply(INFO, "0002 ff") + reply(INFO, "0001 ff") + reply(ACK));
  assert.equal(await result, { size: 0x30201, flags: 3 });
});

tests("replies without an end are cut off", async () => {
  const { peer, outcome } = await asked();
  await peer.say(reply(INFO, "7777").repeat(64));
  const error = await failure(outcome);
  assert.instance(error, ProtocolError);
  assert.is(error.message, "the server sent more than 64 replies to GO");
});

for (const [what, bytes, message] of [
  ["an oldstyle server", "4e42444d41474943 0000420281861253 0000000000000400", /oldstyle handshake/],
  ["an unknown style", "4e42444d41474943 0102030405060708 0003", /unknown magic 0x102030405060708/],
  [
    "something that is no NBD",
    ascii("SSH-2.0-OpenSSH_9.2p1\r\n"),
    /^a greeting began with 0x5353482d322e302d where/,
  ],
] as const) {
  tests(`${what} is told apart`, async () => {
    const { peer, outcome } = begin();
    await peer.say(bytes);
    const error = await failure(outcome);
    assert.instance(error, ProtocolError);
    assert.match(error.message, message);
    await peer.expectEnd();
  });
}

tests("an end in the greeting, and between the replies, is an unexpected end that says where", async () => {
  const first = begin();
  await first.peer.say("4e42444d");
  await first.peer.hangUp();
  assert.is(
    (await failure(first.outcome)).message,
    "the connection ended before the greeting of an NBD server came",
  );
  const second = await asked();
  await second.peer.say(EXPORT_INFO);
  await second.peer.hangUp();
  assert.is((await failure(second.outcome)).message, "the connection ended before the reply to GO came");
});

tests.run();
