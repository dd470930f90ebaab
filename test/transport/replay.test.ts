import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import { requestParser } from "../../src/nbd/server/layers.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { concat } from "../../src/streams/concat.ts";
import { type Conversation, parseConversation, type Side } from "../../src/transport/conversation.ts";
import { replay, replayLayer } from "../../src/transport/replay.ts";
import { ReplayError } from "../../src/transport/replay-error.ts";
import { within } from "../harness.ts";

const tests = suite("replay");

const image = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
const chunkSizes = [1, 2, 3, 7, 28, 4096, undefined];

/** A whole session: what both sides can do, GO, one READ of 16 bytes at 2, DISC. */
const text = `
S 4e42444d41474943 49484156454f5054 0003
C 00000003
# EXTENDED_HEADERS
C 49484156454f5054 0000000b 00000000
S 0003e889045565a9 0000000b 00000001 00000000
# SET_META_CONTEXT "" wants base:allocation
C 49484156454f5054 0000000a 0000001b 00000000 00000001 0000000f 626173653a616c6c6f636174696f6e
S 0003e889045565a9 0000000a 00000004 00000013 00000001 626173653a616c6c6f636174696f6e
S 0003e889045565a9 0000000a 00000001 00000000
# GO "" wants NAME, DESCRIPTION, BLOCK_SIZE
C 49484156454f5054 00000007 0000000c 00000000 0003 0001 0002 0003
S 0003e889045565a9 00000007 00000003 0000000c 0000 00000000000003e8 1183
S 0003e889045565a9 00000007 00000003 00000002 0001
S 0003e889045565a9 00000007 00000003 0000000e 0003 00000001 00001000 02000000
S 0003e889045565a9 00000007 00000001 00000000
# READ 16 bytes at 2
C 21e41c71 0000 0000 00*8 0000000000000002 0000000000000010
S 6e8a278c 0001 0001 00*8 0000000000000002 0000000000000018
S 0000000000000002
S 02030405060708090a0b0c0d0e0f1011
C 21e41c71 0000 0002 00*8 00*8 00*8
`;
const conversation = parseConversation(text);
const target = () => memoryExport(image.slice(), { readOnly: true });

/** The conversation with one byte of one side changed. */
function changed(side: Side, offset: number): Conversation {
  let start = 0;
  return conversation.map((message) => {
    if (message.from !== side) return message;
    const at = offset - start;
    start += message.bytes.byteLength;
    if (at < 0 || at >= message.bytes.byteLength) return message;
    const bytes = message.bytes.slice();
    bytes[at]! ^= 0xff;
    return { ...message, bytes };
  });
}

const said = (side: Side) =>
  concat(conversation.filter(({ from }) => from === side).map(({ bytes }) => bytes));

async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await within(2000, "the failure", promise);
  } catch (error) {
    return error;
  }
  assert.unreachable("it did not fail");
}

async function difference(promise: Promise<unknown>): Promise<ReplayError> {
  const error = await failure(promise);
  assert.instance(error, ReplayError, `${error}`);
  return error as ReplayError;
}

for (const chunkSize of chunkSizes) {
  tests(`as the client, to a server, in chunks of ${chunkSize ?? "any size"}`, async () => {
    const size = chunkSize === undefined ? {} : { chunkSize };
    await within(5000, "it", replayLayer(nbdServer(target()), conversation, { as: "client", ...size }));
  });

  tests(`as the server, to a client, in chunks of ${chunkSize ?? "any size"}`, async () => {
    const size = chunkSize === undefined ? {} : { chunkSize };
    const server = replay(conversation, { as: "server", ...size });
    const remote = await nbdClient(server);
    assert.is(remote.size, 1000);
    assert.equal(await remote.read(2, 16), image.slice(2, 18));
    await remote.close();
    await within(1000, "the end", server.done);
    await within(1000, "the end", server.closed);
  });
}

tests("chunks are as long as was asked for, and belong to whoever reads them", async () => {
  const client = replay(conversation, { as: "server", chunkSize: 7 });
  const reader = client.readable.getReader();
  const lengths: number[] = [];
  for (let i = 0; i < 3; i++) {
    const { value } = await reader.read();
    lengths.push(value!.byteLength);
    // As a worker's postMessage does with what it is given.
    structuredClone(value, { transfer: [value!.buffer] });
  }
  assert.equal(lengths, [7, 7, 4]);
  assert.is(conversation[0]!.bytes[0], 0x4e);
  client.close();
});

tests("every changed byte of the server is reported, at its offset", async () => {
  // Offset 0 to the last one, whatever the chunks.
  for (let offset = 0; offset < said("server").byteLength; offset++) {
    const recording = changed("server", offset);
    const options = { as: "client", chunkSize: (offset % 9) + 1 } as const;
    const error = await difference(replayLayer(nbdServer(target()), recording, options));
    assert.is(error.offset, offset);
    assert.is(error.from, "server");
    assert.is(error.actual, said("server")[offset]);
    assert.is(error.expected, said("server")[offset]! ^ 0xff);
  }
});

tests("a changed byte of the client is reported, at its offset and with its line", async () => {
  // The first byte of the READ request's offset.
  const offset = 4 + 16 + 43 + 28 + 16;
  const server = replay(changed("client", offset), { as: "server" });
  const remote = await nbdClient(server);
  const reading = failure(remote.read(2, 16));
  const error = await difference(server.done);
  assert.is(error.offset, offset);
  assert.is(error.line, 18);
  assert.is(error.expected, 0xff);
  assert.is(error.actual, 0x00);
  assert.is(error.message, "the client's byte 107 is 0x00, 0xff was recorded (line 18 of the recording)");
  assert.is(await failure(server.closed), error);
  await reading;
});

tests("a side that says less is an error", async () => {
  const longer: Conversation = [...conversation, { from: "server", bytes: new Uint8Array([9]), line: 99 }];
  const error = await difference(replayLayer(nbdServer(target()), longer, { as: "client" }));
  assert.is(error.offset, said("server").byteLength);
  assert.is(error.expected, 9);
  assert.is(error.actual, undefined);
  assert.is(error.line, 99);
  assert.match(error.message, /is missing, 0x09 was recorded: it ended/);
});

tests("a side that says more is an error", async () => {
  // The recording ends before the last byte of the data that is read.
  const shorter = conversation.slice(0, -2).concat([
    { from: "server", bytes: conversation.at(-2)!.bytes.slice(0, -1), line: 21 },
    { from: "client", bytes: conversation.at(-1)!.bytes, line: 22 },
  ]);
  const error = await difference(replayLayer(nbdServer(target()), shorter, { as: "client" }));
  assert.is(error.offset, said("server").byteLength - 1);
  assert.is(error.expected, undefined);
  assert.is(error.actual, 0x11);
  assert.match(error.message, /is 0x11, the recording has ended/);
});

tests("more than was recorded is an error of `closed` when all the rest was right", async () => {
  const server = replay(parseConversation("C 01\nS 02"), { as: "server" });
  const writer = server.writable.getWriter();
  await writer.write(new Uint8Array([1]));
  assert.equal((await server.readable.getReader().read()).value, new Uint8Array([2]));
  await server.done;
  const error = await difference(writer.write(new Uint8Array([3])));
  assert.is(error.offset, 1);
  assert.is(await failure(server.closed), error);
});

tests("a side that says nothing is an error and no hang", async () => {
  const silent = {
    readable: new ReadableStream<Uint8Array>(),
    writable: new WritableStream<Uint8Array>(),
  };
  const error = await difference(replayLayer(silent, conversation, { as: "client", timeout: 50 }));
  assert.is(error.offset, 0);
  assert.is(error.expected, 0x4e);
  assert.match(
    error.message,
    /byte 0 is missing, 0x4e was recorded: nothing more came for 50 ms \(line 2 of/,
  );
});

tests("a side that stops listening is an error", async () => {
  const server = replay(conversation, { as: "server" });
  await server.readable.cancel();
  const error = await difference(server.done);
  assert.is(error.from, "client");
  assert.match(error.message, /the client's byte 0 is missing, 0x00 was recorded: it stopped reading/);

  const talking = replay(parseConversation("C 01\nS 0203"), { as: "server", chunkSize: 1 });
  await talking.writable.getWriter().write(new Uint8Array([1]));
  const reader = talking.readable.getReader();
  await reader.read();
  await reader.cancel();
  assert.match(
    (await difference(talking.done)).message,
    /the client left 1 bytes unread: it stopped reading/,
  );
});

tests("a transport that is closed before its time is an error, with the reason if there is one", async () => {
  const unmet = replay(conversation, { as: "server" });
  unmet.close();
  assert.match((await difference(unmet.done)).message, /the transport was closed/);
  const reason = new Error("changed my mind");
  const closed = replay(conversation, { as: "server" });
  closed.close(reason);
  assert.is(await failure(closed.done), reason);
  assert.is(await failure(closed.readable.getReader().read()), reason);
});

tests("an answer never comes before its question", async () => {
  const server = replay(parseConversation("S 01\nC 02 03\nS 04"), { as: "server" });
  const reader = server.readable.getReader();
  const writer = server.writable.getWriter();
  assert.equal((await reader.read()).value, new Uint8Array([1]));
  let answered = false;
  const answer = reader.read().then(({ value }) => {
    answered = true;
    return value;
  });
  await writer.write(new Uint8Array([2]));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.not(answered);
  await writer.write(new Uint8Array([3]));
  assert.equal(await within(1000, "the answer", answer), new Uint8Array([4]));
  assert.ok((await reader.read()).done);
});

tests("a single layer takes a side of a recording as its input", async () => {
  const requests = conversation.slice(-5).filter(({ from }) => from === "client");
  const parsed: number[] = [];
  const played = replay(requests, { as: "client", chunkSize: 1 });
  await played.readable
    .pipeThrough(requestParser({ headers: "extended" }))
    .pipeTo(
      new WritableStream({ write: (messages) => void parsed.push(...messages.map(({ type }) => type)) }),
    );
  assert.equal(parsed, [0, 2]);
  await played.done;
});

tests("what a layer fails with is the failure", async () => {
  const broken = parseConversation("S 4e42444d41474943 49484156454f5054 0003\nC ffffffff\nS 00");
  const error = await failure(replayLayer(nbdServer(target()), broken, { as: "client" }));
  assert.match((error as Error).message, /the client set unknown flags/);
});

tests("a chunk size of none is refused", () => {
  assert.throws(
    () => replay(conversation, { as: "client", chunkSize: 0 }),
    (error: unknown) => error instanceof RangeError,
  );
});

tests.run();
