import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { ProtocolError, RefusedError } from "../../../src/nbd/error.ts";
import type { OfferedExport, OwnContexts } from "../../../src/nbd/option/option.ts";
import { serverHandshake } from "../../../src/nbd/server/handshake.ts";
import { introducing } from "../../../src/nbd/server/introducing.ts";
import type { Negotiated } from "../../../src/nbd/transmission.ts";
import { transmissionFlags } from "../../../src/nbd/transmission-flags.ts";
import { negotiate } from "../../../src/streams/negotiate.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { UnexpectedEndError } from "../../../src/streams/parse.ts";
import { ascii, failure, hex, isPending, sequence, toHex } from "../../bytes.ts";
import { Peer } from "../peer.ts";
import { GREETING, option, optionReply as reply } from "../words.ts";

const tests = suite("server handshake");

const SIZE = "0000000000030201";
const size = 0x30201;

const [EXPORT_NAME, ABORT, LIST, INFO, GO] = ["00000001", "00000002", "00000003", "00000006", "00000007"];
const [ACK, SERVER, REP_INFO] = ["00000001", "00000002", "00000003"];
const [UNSUP, INVALID, UNKNOWN, TOO_BIG] = ["80000001", "80000003", "80000006", "80000009"];
const [STARTTLS, STRUCTURED, LIST_CONTEXT, SET_CONTEXT, EXTENDED] = [
  "00000005",
  "00000008",
  "00000009",
  "0000000a",
  "0000000b",
];
const [META_CONTEXT, EXT_HEADER_REQD] = ["00000004", "8000000a"];
const UNSUP_TEXT = ascii("this server does not know the option");
const INVALID_TEXT = ascii("the lengths in the option contradict each other");
const UNKNOWN_TEXT = ascii("no such export");

/** A server past the greeting, with an export "disk", read-only unless another is given, or with several. */
async function begin(
  clientFlags = "00000003",
  target?: Export | OfferedExport[],
  introduction?: OwnContexts,
) {
  const [client, server] = transportPair();
  const disk = { name: "disk", target: memoryExport(new Uint8Array(size), { readOnly: true }) };
  const exports = Array.isArray(target) ? target : [target ? { ...disk, target } : disk];
  const outcome = negotiate(server, async (dialogue) => {
    const chosen = await serverHandshake(dialogue, exports, { introduction });
    return chosen?.negotiated;
  });
  const result: Promise<Negotiated | undefined> = outcome.then(({ result }) => result);
  result.catch(() => {});
  const peer = new Peer(client);
  await peer.expect(GREETING);
  await peer.say(clientFlags);
  return { peer, outcome, result };
}

/** A name as INFO and GO have it, with what information is asked for. */
const named = (name: string, wanted = "0000", length = hex(name).byteLength) =>
  `${length.toString(16).padStart(8, "0")} ${name} ${wanted}`;

const INFO_EXPORT = (type: string) => reply(type!, REP_INFO, `0000 ${SIZE} 0103`);

for (const split of [1, 3, Number.POSITIVE_INFINITY]) {
  tests(`GO "" in chunks of ${split}: size and flags, then transmission; the next byte is left`, async () => {
    const { peer, outcome } = await begin();
    await peer.say(`${option(GO, named(""))} 25609513`, split);
    await peer.expect(INFO_EXPORT(GO) + reply(GO, ACK));
    const { result, rest } = await outcome;
    assert.equal(result, { size, flags: 0x103 });
    const reader = rest.readable.getReader();
    let left = "";
    while (left.length < 8) left += toHex((await reader.read()).value!);
    assert.is(left, "25609513");
  });
}

tests("the export's own name will do as well", async () => {
  const { peer, result } = await begin();
  await peer.say(option(GO, named(ascii("disk"))));
  await peer.expect(INFO_EXPORT(GO) + reply(GO, ACK));
  assert.equal(await result, { size, flags: 0x103 });
});

tests(
  "INFO tells the same and haggling goes on; information that is asked for is given, unknown is ignored",
  async () => {
    const { peer, result } = await begin();
    await peer.say(option(INFO, named("", "0004 0001 0003 0002 7777")));
    await peer.expect(
      INFO_EXPORT(INFO) +
        reply(INFO, REP_INFO, `0001 ${ascii("disk")}`) +
        reply(INFO, REP_INFO, "0003 00000001 00001000 02000000") +
        reply(INFO, ACK),
    );
    assert.ok(await isPending(result));
    await peer.say(option(GO, named("", "0001 0003")));
    await peer.expect(
      INFO_EXPORT(GO) + reply(GO, REP_INFO, "0003 00000001 00001000 02000000") + reply(GO, ACK),
    );
    assert.equal(await result, { size, flags: 0x103 });
  },
);

tests("an export's own block sizes are told and kept", async () => {
  const blockSize = { minimum: 512, preferred: 8192, maximum: 65536 };
  const { peer, result } = await begin("00000003", { ...memoryExport(new Uint8Array(size)), blockSize });
  await peer.say(option(GO, named("", "0001 0003")));
  await peer.expect(
    reply(GO, REP_INFO, `0000 ${SIZE} 096d`) +
      reply(GO, REP_INFO, "0003 00000200 00002000 00010000") +
      reply(GO, ACK),
  );
  assert.equal(await result, { size, flags: 0x96d, blockSize });
});

for (const [what, data] of [
  ["no data at all", ""],
  ["data that ends in the name's length", "0000000000"],
  ["a name length of 0xffffffff", named("", "0000", 0xffffffff)],
  ["a name longer than the data", named(ascii("disk"), "0000", 5)],
  ["a name shorter than the data", named(ascii("disk"), "0000", 3)],
  ["more information requests than there are", named("", "0002 0003")],
  ["fewer information requests than there are", named("", "0001 0003 0001")],
  ["half an information request", named("", "0001 00")],
  ["a count of 0xffff and none there", named("", "ffff")],
] as const) {
  for (const type of [INFO, GO] as const) {
    tests(`${type === GO ? "GO" : "INFO"} with ${what}: ERR_INVALID, and haggling goes on`, async () => {
      const { peer, result } = await begin();
      await peer.say(option(type!, data) + option(GO, named("")));
      await peer.expect(reply(type!, INVALID, INVALID_TEXT) + INFO_EXPORT(GO) + reply(GO, ACK));
      assert.equal(await result, { size, flags: 0x103 });
    });
  }
}

for (const [what, name] of [
  ["another name", ascii("other")],
  ["a name that is no UTF-8", "ff fe"],
  ["a name with a byte order mark", `efbbbf ${ascii("disk")}`],
  ["a name of 257 bytes", "61".repeat(257)],
  ["a name of 4096 bytes", "61".repeat(4096)],
  ["a name of 4097 bytes", "61".repeat(4097)],
] as const) {
  tests(`GO with ${what}: ERR_UNKNOWN, and haggling goes on`, async () => {
    const { peer, result } = await begin();
    await peer.say(option(GO, named(name)) + option(GO, named("")));
    await peer.expect(reply(GO, UNKNOWN, UNKNOWN_TEXT) + INFO_EXPORT(GO) + reply(GO, ACK));
    await result;
  });
}

tests("a long name, up to 4096 bytes, can be the export's own", async () => {
  for (const length of [257, 4096]) {
    const [client, server] = transportPair();
    const target = memoryExport(new Uint8Array(size), { readOnly: true });
    const outcome = negotiate(server, (dialogue) =>
      serverHandshake(dialogue, [{ name: "é".repeat(length / 2), target }]),
    );
    const peer = new Peer(client);
    await peer.expect(GREETING);
    await peer.say(`00000003 ${option(GO, named("c3a9".repeat(length / 2)))}`);
    await peer.expect(INFO_EXPORT(GO) + reply(GO, ACK));
    assert.ok((await outcome).result);
  }
});

tests(
  "an option with a length of 0xffffffff is not allocated; its data is skipped, and an end inside it is an error",
  async () => {
    const { peer, outcome } = await begin();
    await peer.say(`49484156454f5054 ${GO} ffffffff 00000000`);
    await peer.say(sequence(1 << 20));
    assert.ok(await isPending(outcome));
    await peer.hangUp();
    const error = await failure(outcome);
    assert.instance(error, UnexpectedEndError);
    assert.is(error.message, "the connection ended before the option came");
  },
);

tests("an option that is too long is skipped, answered ERR_TOO_BIG, and haggling goes on", async () => {
  for (const type of [LIST, GO, "12345678"] as const) {
    const { peer, result } = await begin();
    await peer.say(`49484156454f5054 ${type} 00010001`);
    await peer.say(sequence(65537));
    await peer.say(option(GO, named("")));
    await peer.expect(
      reply(type!, TOO_BIG, ascii("the option is too long")) + INFO_EXPORT(GO) + reply(GO, ACK),
    );
    await result;
  }
});

tests("unknown options, also ones with data, are answered ERR_UNSUP, and haggling goes on", async () => {
  const { peer, result } = await begin();
  for (const type of ["00000000", "00000004", "0000000c", "ffffffff"]) {
    await peer.say(option(type, "00112233"));
    await peer.expect(reply(type, UNSUP, UNSUP_TEXT));
  }
  await peer.say(option(GO, named("")));
  await peer.expect(INFO_EXPORT(GO) + reply(GO, ACK));
  await result;
});

tests("LIST gives the one export's name; with data it is ERR_INVALID", async () => {
  const { peer, result } = await begin();
  await peer.say(option(LIST, "00") + option(LIST) + option(ABORT));
  await peer.expect(
    reply(LIST, INVALID, ascii("LIST takes no data")) +
      reply(LIST, SERVER, `00000004 ${ascii("disk")}`) +
      reply(LIST, ACK) +
      reply(ABORT, ACK),
  );
  assert.is(await result, undefined);
});

for (const name of ["", ascii("disk")]) {
  tests(`EXPORT_NAME "${name}" with NO_ZEROES: size and flags, no more`, async () => {
    const { peer, result } = await begin("00000003");
    await peer.say(option(EXPORT_NAME, name));
    await peer.expect(`${SIZE} 0103`);
    assert.equal(await result, { size, flags: 0x103 });
    await peer.expectSilence();
  });

  for (const flags of ["00000000", "00000001"]) {
    tests(`EXPORT_NAME "${name}" without NO_ZEROES, client flags ${flags}: 124 zeroes behind`, async () => {
      const { peer, result } = await begin(flags);
      await peer.say(option(EXPORT_NAME, name));
      await peer.expect(`${SIZE} 0103 ${"00".repeat(124)}`);
      assert.equal(await result, { size, flags: 0x103 });
      await peer.expectSilence();
    });
  }
}

for (const [what, message, words] of [
  ["another name", option(EXPORT_NAME, ascii("other")), /not offered: "other"/],
  ["no UTF-8", option(EXPORT_NAME, "ff"), /not offered: "\(not UTF-8\)"/],
  ["4097 bytes", option(EXPORT_NAME, "61".repeat(4097)), /too long/],
] as const) {
  tests(`EXPORT_NAME with ${what} ends the session without an answer`, async () => {
    const { peer, outcome } = await begin();
    await peer.say(message);
    const error = await failure(outcome);
    assert.instance(error, RefusedError);
    assert.match(error.message, words);
    await peer.expectEnd();
  });
}

tests("EXPORT_NAME with an oversized name ends the session too", async () => {
  const { peer, outcome } = await begin();
  await peer.say(`49484156454f5054 ${EXPORT_NAME} 00010001`);
  await peer.say(sequence(65537));
  assert.instance(await failure(outcome), RefusedError);
  await peer.expectEnd();
});

tests(
  "ABORT is answered and ends the handshake without a result, also where nobody waits for the answer",
  async () => {
    const { peer, result } = await begin();
    await peer.say(option(ABORT));
    await peer.expect(reply(ABORT, ACK));
    assert.is(await result, undefined);
  },
);

for (const flags of ["00000004", "80000003", "ffffffff"]) {
  tests(`unknown client flags, ${flags}, end the session`, async () => {
    const { peer, outcome } = await begin(flags);
    const error = await failure(outcome);
    assert.instance(error, ProtocolError);
    assert.match(error.message, /unknown flags, 0x/);
    await peer.expectEnd();
  });
}

tests("a wrong option magic ends the session", async () => {
  const { peer, outcome } = await begin();
  await peer.say(`49484156454f5055 ${GO} 00000000`);
  assert.instance(await failure(outcome), ProtocolError);
  await peer.expectEnd();
});

tests("a client that leaves in the middle is an unexpected end", async () => {
  const { peer, outcome } = await begin();
  await peer.say("49484156");
  await peer.hangUp();
  assert.instance(await failure(outcome), UnexpectedEndError);
});

/** The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
const queries = (name: string, ...all: string[]) =>
  `${text(name)} ${all.length.toString(16).padStart(8, "0")} ${all.map(text).join(" ")}`;
const text = (words: string) => `${words.length.toString(16).padStart(8, "0")} ${ascii(words)}`;
const ALLOCATION = ascii("base:allocation");
const context = (type: string, id: string) =>
  reply(type, META_CONTEXT, `${id} ${ALLOCATION}`) + reply(type, ACK);
const GO_DISK = option(GO, named(ascii("disk")));
const informed = (flags: string, type = GO) =>
  reply(type!, REP_INFO, `0000 ${SIZE} ${flags}`) + reply(type!, ACK);

tests("STARTTLS is answered as by a server that has none; with data it is ERR_INVALID", async () => {
  const { peer, result } = await begin();
  await peer.say(option(STARTTLS) + option(STARTTLS, "00") + GO_DISK);
  await peer.expect(
    reply(STARTTLS, UNSUP, ascii("this server has no TLS of its own")) +
      reply(STARTTLS, INVALID, ascii("STARTTLS takes no data")) +
      informed("0103"),
  );
  assert.equal(await result, { size, flags: 0x103 });
});

tests(
  "STRUCTURED_REPLY, also twice, is for the whole session; with data it is ERR_INVALID and none",
  async () => {
    const { peer, result } = await begin();
    await peer.say(
      option(STRUCTURED, "00") + option(INFO, named("")) + option(STRUCTURED).repeat(2) + GO_DISK,
    );
    await peer.expect(
      reply(STRUCTURED, INVALID, ascii("STRUCTURED_REPLY takes no data")) +
        informed("0103", INFO) +
        reply(STRUCTURED, ACK).repeat(2) +
        informed("0183"),
    );
    assert.equal(await result, { size, flags: 0x183, headers: "structured" });
  },
);

tests("EXPORT_NAME goes with structured replies and a context", async () => {
  const { peer, result } = await begin();
  await peer.say(
    option(STRUCTURED) + option(SET_CONTEXT, queries("", "base:allocation")) + option(EXPORT_NAME),
  );
  await peer.expect(`${reply(STRUCTURED, ACK)} ${context(SET_CONTEXT, "00000001")} ${SIZE} 0183`);
  assert.equal(await result, { size, flags: 0x183, headers: "structured", allocation: 1 });
});

tests("EXTENDED_HEADERS supersede structured replies, which can't be gone back to", async () => {
  const { peer, result } = await begin();
  await peer.say(
    option(EXTENDED, "00") + option(STRUCTURED) + option(EXTENDED) + option(STRUCTURED) + GO_DISK,
  );
  await peer.expect(
    reply(EXTENDED, INVALID, ascii("EXTENDED_HEADERS takes no data")) +
      reply(STRUCTURED, ACK) +
      reply(EXTENDED, ACK) +
      reply(STRUCTURED, EXT_HEADER_REQD, ascii("extended headers were negotiated already")) +
      informed("0183"),
  );
  assert.equal(await result, { size, flags: 0x183, headers: "extended" });
});

tests("EXPORT_NAME after EXTENDED_HEADERS ends the session", async () => {
  const { peer, outcome } = await begin();
  await peer.say(option(EXTENDED) + option(EXPORT_NAME));
  await peer.expect(reply(EXTENDED, ACK));
  assert.match((await failure(outcome)).message, /EXPORT_NAME after it had negotiated extended headers/);
  await peer.expectEnd();
});

tests("contexts before structured replies are ERR_INVALID", async () => {
  const { peer, result } = await begin();
  const words = ascii("structured replies must be negotiated first");
  for (const type of [LIST_CONTEXT, SET_CONTEXT] as const) {
    await peer.say(option(type!, queries("", "base:allocation")));
    await peer.expect(reply(type!, INVALID, words));
  }
  await peer.say(option(STRUCTURED) + GO_DISK);
  await peer.expect(reply(STRUCTURED, ACK) + informed("0183"));
  assert.is((await result)!.allocation, undefined);
});

for (const [what, query, listed, selected] of [
  ["no query", [], true, false],
  ["base:allocation", ["base:allocation"], true, true],
  ["all of base:", ["base:"], true, false],
  ["another context of base:", ["base:other"], false, false],
  ["another namespace, and base:allocation", ["qemu:dirty-bitmap:x", "base:allocation"], true, true],
  ["only another namespace", ["x-context:1"], false, false],
  ["base:allocation twice", ["base:allocation", "base:allocation"], true, true],
] as [string, string[], boolean, boolean][]) {
  tests(`contexts, asked for with ${what}`, async () => {
    const { peer, result } = await begin();
    await peer.say(
      option(STRUCTURED) +
        option(LIST_CONTEXT, queries("disk", ...query)) +
        option(SET_CONTEXT, queries("disk", ...query)) +
        GO_DISK,
    );
    await peer.expect(
      reply(STRUCTURED, ACK) +
        (listed ? context(LIST_CONTEXT!, "00000000") : reply(LIST_CONTEXT!, ACK)) +
        (selected ? context(SET_CONTEXT!, "00000001") : reply(SET_CONTEXT!, ACK)) +
        informed("0183"),
    );
    assert.is((await result)!.allocation, selected ? 1 : undefined);
  });
}

const CHALLENGE = "AAECAwQFBgcICQoLDA0ODw";
const NONCE = "EBESExQVFhcYGRobHB0eHw";
const INTRODUCE = `nbd-proxy:introduce=1,${CHALLENGE},${NONCE},300`;
const KEY = `nbd-proxy:key=${NONCE}`;
const INTRODUCED =
  '{"version":1,"name":"disk","size":0,"modified":null,"samples":"","incarnation":"1","proof":"","changed":"it grew"}';

/** A server that introduces itself, and what it was told. */
async function introduced() {
  const seen: unknown[] = [];
  const introduction = introducing({
    async answer(gateway) {
      seen.push(gateway);
      return {
        ...{ name: "disk", size: 0, modified: undefined, samples: new Uint8Array(0) },
        ...{ incarnation: "1", proof: "", changed: "it grew" },
      };
    },
    keep: (key) => void seen.push(key),
  });
  return { ...(await begin("00000003", undefined, introduction)), seen };
}

for (const [what, query, contexts, told] of [
  [
    "by its exact form",
    [INTRODUCE],
    [`nbd-proxy:introduced=${INTRODUCED}`],
    [{ challenge: CHALLENGE, nonce: NONCE, wait: 300 }],
  ],
  ["with a key", [KEY], ["nbd-proxy:key=kept"], [NONCE]],
  [
    "among others",
    ["x-context:1", KEY, "base:", INTRODUCE, "nbd-proxy:"],
    ["base:allocation", "nbd-proxy:key=kept", `nbd-proxy:introduced=${INTRODUCED}`],
    [NONCE, { challenge: CHALLENGE, nonce: NONCE, wait: 300 }],
  ],
  ["by no query", [], ["base:allocation"], []],
  ["by the namespace", ["nbd-proxy:"], [], []],
  ["by its beginning", ["nbd-proxy:introduce=1,"], [], []],
  ["by the name of the answer", ["nbd-proxy:introduced="], [], []],
  ["in another version", [INTRODUCE.replace("=1", "=2")], [], []],
] as [string, string[], string[], unknown[]][]) {
  tests(`what a server says of itself, asked for ${what}`, async () => {
    const { peer, result, seen } = await introduced();
    await peer.say(option(STRUCTURED) + option(LIST_CONTEXT, queries("", ...query)));
    const listed = contexts.map((name) => reply(LIST_CONTEXT!, META_CONTEXT, `00000000 ${ascii(name)}`));
    await peer.expect(reply(STRUCTURED, ACK) + listed.join("") + reply(LIST_CONTEXT!, ACK));
    assert.equal(seen, told);
    // Nothing is selected by it.
    await peer.say(GO_DISK);
    await peer.expect(informed("0183"));
    assert.is((await result)!.allocation, undefined);
  });
}

tests(
  "what a server says of itself cannot be selected, nor asked for before structured replies",
  async () => {
    const { peer, result, seen } = await introduced();
    await peer.say(option(LIST_CONTEXT, queries("", INTRODUCE)) + option(STRUCTURED));
    await peer.say(option(SET_CONTEXT, queries("disk", INTRODUCE, KEY, "base:allocation")) + GO_DISK);
    await peer.expect(
      reply(LIST_CONTEXT!, INVALID, ascii("structured replies must be negotiated first")) +
        reply(STRUCTURED, ACK) +
        context(SET_CONTEXT!, "00000001") +
        informed("0183"),
    );
    assert.is((await result)!.allocation, 1);
    assert.equal(seen, []);
  },
);

tests("a server that cannot introduce itself, or keep a key, ends the session", async () => {
  const fault = new Error("the disk is gone");
  const fails = introducing({ answer: () => Promise.reject(fault), keep: () => Promise.reject(fault) });
  for (const query of [INTRODUCE, KEY]) {
    const { peer, outcome } = await begin("00000003", undefined, fails);
    await peer.say(option(STRUCTURED) + option(LIST_CONTEXT, queries("", query)));
    assert.is(await failure(outcome), fault);
  }
});

for (const [what, data] of [
  ["no data", ""],
  ["a name length of 0xffffffff", `ffffffff ${queries("").slice(8)}`],
  ["a name only", text("disk")],
  ["more queries than there are", `${text("disk")} 00000002 ${text("base:allocation")}`],
  ["0xffffffff queries", `${text("disk")} ffffffff`],
  ["fewer queries than there are", `${text("disk")} 00000000 ${text("base:allocation")}`],
  ["a query length of 0xffffffff", `${text("disk")} 00000001 ffffffff ${ALLOCATION}`],
  ["half a query length", `${text("disk")} 00000001 0000`],
  ["a byte too many", `${queries("disk", "base:allocation")} 00`],
  ["a query without a namespace", queries("disk", "allocation")],
  ["a query that is no UTF-8", `${text("disk")} 00000001 00000003 ff3a62`],
  ["a query of 4097 bytes", queries("disk", `base:${"x".repeat(4092)}`)],
] as const) {
  tests(`contexts with ${what}: ERR_INVALID, and none is selected any more`, async () => {
    const { peer, result } = await begin();
    const words = ascii("the option's lengths or queries make no sense");
    await peer.say(option(EXTENDED) + option(SET_CONTEXT, queries("disk", "base:allocation")));
    await peer.say(option(LIST_CONTEXT, data) + option(INFO, named(ascii("disk"))));
    await peer.say(option(SET_CONTEXT, data) + GO_DISK);
    await peer.expect(
      reply(EXTENDED, ACK) +
        context(SET_CONTEXT!, "00000001") +
        reply(LIST_CONTEXT!, INVALID, words) +
        informed("1183", INFO) +
        reply(SET_CONTEXT!, INVALID, words) +
        informed("0183"),
    );
    assert.is((await result)!.allocation, undefined);
  });
}

tests("contexts of an export that is not offered: ERR_UNKNOWN, and none is selected any more", async () => {
  const { peer, result } = await begin();
  await peer.say(option(EXTENDED) + option(SET_CONTEXT, queries("disk", "base:allocation")));
  await peer.say(option(SET_CONTEXT, queries("other", "base:allocation")) + GO_DISK);
  await peer.expect(
    reply(EXTENDED, ACK) +
      context(SET_CONTEXT!, "00000001") +
      reply(SET_CONTEXT!, UNKNOWN, UNKNOWN_TEXT) +
      informed("0183"),
  );
  assert.is((await result)!.allocation, undefined);
});

tests("a SET_META_CONTEXT that is too long, too, leaves none selected", async () => {
  const { peer, result } = await begin();
  await peer.say(option(STRUCTURED) + option(SET_CONTEXT, queries("disk", "base:allocation")));
  await peer.say(`49484156454f5054 ${SET_CONTEXT} 00010001`);
  await peer.say(sequence(65537));
  await peer.say(GO_DISK);
  await peer.expect(reply(STRUCTURED, ACK) + context(SET_CONTEXT!, "00000001"));
  await peer.expect(reply(SET_CONTEXT!, TOO_BIG, ascii("the option is too long")) + informed("0183"));
  assert.is((await result)!.allocation, undefined);
});

tests("a context is for the export that it was selected for, by the very name", async () => {
  for (const [selected, chosen, allocation] of [
    ["disk", "disk", 1],
    ["", "", 1],
    ["", "disk", undefined],
    ["disk", "", undefined],
  ] as const) {
    const { peer, result } = await begin();
    await peer.say(option(EXTENDED) + option(SET_CONTEXT, queries(selected, "base:allocation")));
    await peer.say(option(GO, named(ascii(chosen))));
    await peer.expect(reply(EXTENDED, ACK) + context(SET_CONTEXT!, "00000001"));
    await peer.expect(informed(allocation ? "1183" : "0183"));
    assert.is((await result)!.allocation, allocation);
  }
});

tests("several exports: each by its name, the first by none, all in the list", async () => {
  const target = memoryExport(new Uint8Array(size), { readOnly: true });
  const exports = [
    { name: "disk", target },
    { name: "other", description: "another disk", target: memoryExport(new Uint8Array(16)) },
  ];
  const { peer, result } = await begin("00000003", exports);
  await peer.say(option(LIST) + option(INFO, named("", "0001 0002")) + option(INFO, named(ascii("third"))));
  await peer.expect(
    reply(LIST, SERVER, `00000004 ${ascii("disk")}`) +
      reply(LIST, SERVER, `00000005 ${ascii("otheranother disk")}`) +
      reply(LIST, ACK) +
      informed("0103", INFO) +
      reply(INFO, UNKNOWN, UNKNOWN_TEXT),
  );
  await peer.say(option(GO, named(ascii("other"), "0002 0001 0002")));
  await peer.expect(
    reply(GO, REP_INFO, "0000 0000000000000010 096d") +
      reply(GO, REP_INFO, `0001 ${ascii("other")}`) +
      reply(GO, REP_INFO, `0002 ${ascii("another disk")}`) +
      reply(GO, ACK),
  );
  assert.equal(await result, { size: 16, flags: 0x96d });
});

tests('an export that is called "" is the default one, wherever it stands', async () => {
  const target = (bytes: number) => memoryExport(new Uint8Array(bytes), { readOnly: true });
  const { peer, result } = await begin("00000003", [
    { name: "disk", target: target(1) },
    { name: "", target: target(2) },
  ]);
  await peer.say(option(EXPORT_NAME));
  await peer.expect("0000000000000002 0103");
  assert.is((await result)!.size, 2);
});

tests("the transmission flags say what the export can do", () => {
  const memory = memoryExport(new Uint8Array(1));
  const { flush: _, ...unflushed } = memory;
  const plain: Export = { size: 1, read: memory.read, close: memory.close };
  const [write, cache] = [memory.write!, async () => {}];
  const [structured, extended] = [{ headers: "structured" }, { headers: "extended" }] as const;
  assert.is(transmissionFlags(plain), 0x103);
  assert.is(transmissionFlags(memoryExport(new Uint8Array(1), { readOnly: true })), 0x103);
  assert.is(transmissionFlags(memory), 0x96d);
  assert.is(transmissionFlags(unflushed), 0x961, "without a flush there is nothing to promise FUA with");
  assert.is(transmissionFlags({ ...plain, write }), 0x141, "zeroes can be written, but not fast");
  assert.is(transmissionFlags({ ...plain, cache }), 0x503);
  assert.is(
    transmissionFlags({ ...plain, trim: cache, writeZeroes: cache }),
    0x103,
    "read-only is read-only",
  );
  assert.is(transmissionFlags(plain, structured), 0x183);
  assert.is(transmissionFlags(plain, { ...structured, allocation: 1 }), 0x183);
  assert.is(transmissionFlags(plain, extended), 0x183);
  assert.is(transmissionFlags(plain, { ...extended, allocation: 1 }), 0x1183);
});

tests.run();
