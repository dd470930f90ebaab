import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../../src/export/memory.ts";
import { inquireExport, listExports } from "../../../src/nbd/client/inquiry.ts";
import { ProtocolError, RefusedError } from "../../../src/nbd/error.ts";
import { nbdServer } from "../../../src/nbd/server/nbd-server.ts";
import { join } from "../../../src/streams/join.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { UnexpectedEndError } from "../../../src/streams/parse.ts";
import { ascii, failure } from "../../bytes.ts";
import { within } from "../../harness.ts";
import { Peer } from "../peer.ts";
import { GREETING, option, optionReply as reply } from "../words.ts";

const tests = suite("inquiries of the client");

const [ABORT, LIST, INFO, STRUCTURED, LIST_CONTEXTS] = [
  "00000002",
  "00000003",
  "00000006",
  "00000008",
  "00000009",
];
const [ACK, SERVER, INFORMATION, CONTEXT] = ["00000001", "00000002", "00000003", "00000004"];

/** A server that the test plays, after the greeting. */
async function greeted<T>(inquire: (transport: ReturnType<typeof transportPair>[0]) => Promise<T>) {
  const [client, server] = transportPair();
  const result = inquire(client);
  result.catch(() => {});
  const peer = new Peer(server);
  await peer.say(GREETING);
  await peer.expect("00000003");
  return { result, peer, client };
}

tests("LIST: names and descriptions, then ABORT", async () => {
  const { result, peer } = await greeted((transport) => listExports(transport));
  await peer.expect(option(LIST!));
  await peer.say(reply(LIST!, SERVER!, `00000004 ${ascii("disk")}`));
  await peer.say(reply(LIST!, SERVER!, `00000002 ${ascii("cd")} ${ascii("an installer")}`));
  await peer.say(reply(LIST!, SERVER!, "00000000"));
  await peer.say(reply(LIST!, ACK!));
  await peer.expect(option(ABORT!));
  await peer.expectEnd();
  assert.equal(await within(1000, "it", result), [
    { name: "disk" },
    { name: "cd", description: "an installer" },
    { name: "" },
  ]);
});

for (const [what, answer, type, message] of [
  [
    "is refused",
    reply(LIST!, "80000002", ascii("no")),
    RefusedError,
    'refused to list its exports: ERR_POLICY, "no"',
  ],
  ["has another reply", reply(LIST!, INFORMATION!), ProtocolError, "answered LIST with INFO"],
  ["has an entry without a length", reply(LIST!, SERVER!, "000000"), ProtocolError, "in 3 bytes, too few"],
  [
    "has a name that is not there",
    reply(LIST!, SERVER!, "00000002 61"),
    ProtocolError,
    "in 5 bytes, too few",
  ],
  [
    "has a name of no UTF-8",
    reply(LIST!, SERVER!, "00000001 ff"),
    ProtocolError,
    "an export name that is not UTF-8",
  ],
  ["has no end", reply(LIST!, SERVER!, "00000000").repeat(4097), ProtocolError, "more than 4096 exports"],
] as const) {
  tests(`LIST that ${what}: ${type.name}`, async () => {
    const { result, peer } = await greeted((transport) => listExports(transport));
    await peer.expect(option(LIST!));
    await peer.say(answer);
    if (type === RefusedError) await peer.expect(option(ABORT!));
    await peer.expectEnd();
    const error = await within(1000, "it", failure(result));
    assert.instance(error, type);
    assert.match((error as Error).message, message);
  });
}

tests("INFO and LIST_META_CONTEXT: all that is told", async () => {
  const { result, peer } = await greeted((transport) => inquireExport(transport, "cd"));
  await peer.expect(option(STRUCTURED!));
  await peer.say(reply(STRUCTURED!, ACK!));
  await peer.expect(option(INFO!, `00000002 ${ascii("cd")} 0003 0001 0002 0003`));
  await peer.say(reply(INFO!, INFORMATION!, "0000 0000000000030200 0003"));
  await peer.say(reply(INFO!, INFORMATION!, `0001 ${ascii("cd")}`));
  await peer.say(reply(INFO!, INFORMATION!, `0002 ${ascii("an installer")}`));
  await peer.say(reply(INFO!, INFORMATION!, "0003 00000200 00001000 00100000"));
  await peer.say(reply(INFO!, ACK!));
  await peer.expect(option(LIST_CONTEXTS!, `00000002 ${ascii("cd")} 00000000`));
  await peer.say(reply(LIST_CONTEXTS!, CONTEXT!, `00000000 ${ascii("base:allocation")}`));
  await peer.say(reply(LIST_CONTEXTS!, CONTEXT!, `00000001 ${ascii("qemu:dirty-bitmap:b")}`));
  await peer.say(reply(LIST_CONTEXTS!, ACK!));
  await peer.expect(option(ABORT!));
  assert.equal(await within(1000, "it", result), {
    size: 0x30200,
    flags: 3,
    name: "cd",
    description: "an installer",
    blockSize: { minimum: 512, preferred: 4096, maximum: 1 << 20 },
    contexts: ["base:allocation", "qemu:dirty-bitmap:b"],
  });
});

for (const [what, answer, message] of [
  ["without a name", reply(LIST_CONTEXTS!, CONTEXT!, "00000000 ff"), /a context name that is not UTF-8/],
  ["without an end", reply(LIST_CONTEXTS!, CONTEXT!, "00000000 61").repeat(1025), /more than 1024 contexts/],
  ["of another kind", reply(LIST_CONTEXTS!, SERVER!, "00000000"), /LIST_META_CONTEXT with SERVER of 4 bytes/],
] as const) {
  tests(`contexts ${what}: ProtocolError`, async () => {
    const { result, peer } = await greeted((transport) => inquireExport(transport));
    await peer.expect(option(STRUCTURED!));
    await peer.say(reply(STRUCTURED!, ACK!));
    await peer.expect(option(INFO!, "00000000 0003 0001 0002 0003"));
    await peer.say(reply(INFO!, INFORMATION!, "0000 0000000000030200 0003") + reply(INFO!, ACK!));
    await peer.expect(option(LIST_CONTEXTS!, "00000000 00000000"));
    await peer.say(answer);
    const error = await within(1000, "it", failure(result));
    assert.instance(error, ProtocolError);
    assert.match((error as Error).message, message);
  });
}

tests("a server that does not know INFO, or contexts", async () => {
  const without = await greeted((transport) => inquireExport(transport));
  await without.peer.expect(option(STRUCTURED!));
  await without.peer.say(reply(STRUCTURED!, "80000001"));
  await without.peer.expect(option(INFO!, "00000000 0003 0001 0002 0003"));
  await without.peer.say(reply(INFO!, "80000001"));
  await without.peer.expect(option(ABORT!));
  assert.instance(await within(1000, "it", failure(without.result)), RefusedError);

  const { result, peer } = await greeted((transport) => inquireExport(transport));
  await peer.expect(option(STRUCTURED!));
  await peer.say(reply(STRUCTURED!, ACK!));
  await peer.expect(option(INFO!, "00000000 0003 0001 0002 0003"));
  await peer.say(reply(INFO!, INFORMATION!, "0000 0000000000030200 0003") + reply(INFO!, ACK!));
  await peer.expect(option(LIST_CONTEXTS!, "00000000 00000000"));
  await peer.say(reply(LIST_CONTEXTS!, "80000001"));
  await peer.expect(option(ABORT!));
  assert.equal((await within(1000, "it", result)).contexts, []);
});

tests("a server that knows only EXPORT_NAME, one that ends, and a signal", async () => {
  const [client, server] = transportPair();
  const peer = new Peer(server);
  const result = listExports(client);
  await peer.say("4e42444d41474943 49484156454f5054 0000");
  assert.instance(await within(1000, "it", failure(result)), RefusedError);

  const ended = await greeted((transport) => listExports(transport));
  await ended.peer.hangUp();
  assert.instance(await within(1000, "it", failure(ended.result)), UnexpectedEndError);

  const reason = new Error("changed my mind");
  const controller = new AbortController();
  const given = await greeted((transport) => listExports(transport, { signal: controller.signal }));
  controller.abort(reason);
  assert.is(await within(1000, "it", failure(given.result)), reason);
  const early = listExports(transportPair()[0], { signal: controller.signal });
  assert.is(await failure(early), reason);
});

tests("our own server of two exports", async () => {
  const exports = [
    { name: "disk", target: memoryExport(new Uint8Array(512)) },
    {
      name: "cd",
      description: "an installer",
      target: memoryExport(new Uint8Array(2048), { readOnly: true }),
    },
  ];
  const connect = () => {
    const [client, server] = transportPair();
    join(server, nbdServer(exports)).catch(() => {});
    return client;
  };
  assert.equal(await listExports(connect()), [{ name: "disk" }, { name: "cd", description: "an installer" }]);
  const { size, description, contexts } = await inquireExport(connect(), "cd");
  assert.equal([size, description, contexts], [2048, "an installer", ["base:allocation"]]);
  assert.instance(await failure(inquireExport(connect(), "no")), RefusedError);
});

tests.run();
