import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { ProtocolError, RefusedError } from "../../../src/nbd/error.ts";
import { serverHandshake, transmissionFlags } from "../../../src/nbd/server/handshake.ts";
import type { Negotiated } from "../../../src/nbd/transmission.ts";
import { negotiate } from "../../../src/streams/negotiate.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { UnexpectedEndError } from "../../../src/streams/parse.ts";
import { ascii, failure, hex, isPending, sequence, toHex } from "../../bytes.ts";
import { Peer } from "../peer.ts";

const tests = suite("server handshake");

const GREETING = "4e42444d41474943 49484156454f5054 0003";
const SIZE = "0000000000030201";
const size = 0x30201;

const option = (type: string, data = "") =>
  `49484156454f5054 ${type} ${hex(data).byteLength.toString(16).padStart(8, "0")} ${data}`;
const reply = (type: string, kind: string, data = "") =>
  `0003e889045565a9 ${type} ${kind} ${hex(data).byteLength.toString(16).padStart(8, "0")} ${data}`;

const [EXPORT_NAME, ABORT, LIST, INFO, GO] = ["00000001", "00000002", "00000003", "00000006", "00000007"];
const [ACK, SERVER, REP_INFO] = ["00000001", "00000002", "00000003"];
const [UNSUP, INVALID, UNKNOWN, TOO_BIG] = ["80000001", "80000003", "80000006", "80000009"];
const UNSUP_TEXT = ascii("this server does not know the option");
const INVALID_TEXT = ascii("the lengths in the option contradict each other");
const UNKNOWN_TEXT = ascii("no such export");

/** A server with an export "disk", read-only unless another is given, past the greeting. */
async function begin(clientFlags = "00000003", target?: Export) {
  const [client, server] = transportPair();
  const outcome = negotiate(server, (dialogue) =>
    serverHandshake(dialogue, target ?? memoryExport(new Uint8Array(size), { readOnly: true }), "disk"),
  );
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

const INFO_EXPORT = (type: string) => reply(type!, REP_INFO, `0000 ${SIZE} 0003`);

for (const split of [1, 3, Number.POSITIVE_INFINITY]) {
  tests(`GO "" in chunks of ${split}: size and flags, then transmission; the next byte is left`, async () => {
    const { peer, outcome } = await begin();
    await peer.say(`${option(GO, named(""))} 25609513`, split);
    await peer.expect(INFO_EXPORT(GO) + reply(GO, ACK));
    const { result, rest } = await outcome;
    assert.equal(result, { size, flags: 3 });
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
  assert.equal(await result, { size, flags: 3 });
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
    assert.equal(await result, { size, flags: 3 });
  },
);

tests("an export's own block sizes are told and kept", async () => {
  const blockSize = { minimum: 512, preferred: 8192, maximum: 65536 };
  const { peer, result } = await begin("00000003", { ...memoryExport(new Uint8Array(size)), blockSize });
  await peer.say(option(GO, named("", "0001 0003")));
  await peer.expect(
    reply(GO, REP_INFO, `0000 ${SIZE} 000d`) +
      reply(GO, REP_INFO, "0003 00000200 00002000 00010000") +
      reply(GO, ACK),
  );
  assert.equal(await result, { size, flags: 13, blockSize });
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
      assert.equal(await result, { size, flags: 3 });
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
      serverHandshake(dialogue, target, "é".repeat(length / 2)),
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
  for (const type of ["00000000", "00000004", "00000005", "00000008", "0000000a", "ffffffff"]) {
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
    await peer.expect(`${SIZE} 0003`);
    assert.equal(await result, { size, flags: 3 });
    await peer.expectSilence();
  });

  for (const flags of ["00000000", "00000001"]) {
    tests(`EXPORT_NAME "${name}" without NO_ZEROES, client flags ${flags}: 124 zeroes behind`, async () => {
      const { peer, result } = await begin(flags);
      await peer.say(option(EXPORT_NAME, name));
      await peer.expect(`${SIZE} 0003 ${"00".repeat(124)}`);
      assert.equal(await result, { size, flags: 3 });
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

tests("the transmission flags say what the export can do", () => {
  const memory = memoryExport(new Uint8Array(1));
  const { flush: _, ...unflushed } = memory;
  assert.is(transmissionFlags(memoryExport(new Uint8Array(1), { readOnly: true })), 0b0011);
  assert.is(transmissionFlags(memory), 0b1101);
  assert.is(transmissionFlags(unflushed), 0b0001, "without a flush there is nothing to promise FUA with");
});

tests.run();
