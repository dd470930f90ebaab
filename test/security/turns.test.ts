/** A peer that says very much, however cheaply, does not keep the others waiting: counted in turns of the event loop. */
import { readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { ExportError } from "../../src/export/error.ts";
import type { Export } from "../../src/export/export.ts";
import { fast } from "../../src/export/filters/fast.ts";
import { memoryExport } from "../../src/export/memory.ts";
import { listExports } from "../../src/nbd/client/inquiry.ts";
import { remoteExport } from "../../src/nbd/client/remote-export.ts";
import { replyParsers } from "../../src/nbd/client/reply-parser.ts";
import { ChunkFlag, ChunkType, Command, MAX_PAYLOAD, Option, Reply } from "../../src/nbd/constants.ts";
import {
  BlockDescriptor,
  BlockStatus,
  ClientFlags,
  ErrorChunk,
  OffsetHole,
  OptionReply,
  OptionRequest,
  Request,
  StructuredReply,
} from "../../src/nbd/messages.ts";
import { decodeContextRequest } from "../../src/nbd/option/meta-context.ts";
import { requestHandler, requestParser, transmission } from "../../src/nbd/server/layers.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { recordToFile } from "../../src/node/recording.ts";
import { concat } from "../../src/streams/concat.ts";
import type { Layer } from "../../src/streams/duplex.ts";
import { transportPair } from "../../src/streams/pair.ts";
import { parse } from "../../src/streams/parse.ts";
import { collect, collectBytes, cut, hex, source } from "../bytes.ts";
import { Sandbox, suite } from "../harness.ts";
import { fewest, turnsUntil } from "./turns.ts";

const tests = suite("a flood takes turns");

/** Replies as they come out of bytes. */
const replyParser = (...args: Parameters<typeof replyParsers>) =>
  parse(replyParsers(...args), { name: "reply" });

const SIZE = 1 << 20;
const image = memoryExport(new Uint8Array(SIZE));
const UNKNOWN = 77;

/** So many requests in one piece. */
function requests(count: number, type: number, length = 0): Uint8Array {
  const bytes = new Uint8Array(count * Request.size);
  for (let i = 0; i < count; i++) {
    Request.encode({ flags: 0, type, cookie: BigInt(i), offset: 0, length }, bytes, i * Request.size);
  }
  return bytes;
}

/** Puts chunks into a layer, to their end, and gives how many bytes of replies come out. */
async function serve(layer: Layer<Uint8Array, Uint8Array>, chunks: readonly Uint8Array[]): Promise<number> {
  const fed = source(chunks).pipeTo(layer.writable);
  const replies = await collectBytes(layer.readable);
  await fed;
  return replies.byteLength;
}

const server = (target: Export = image) => transmission(target, { size: target.size, flags: 1 });

for (const [what, type] of [
  ["commands that nobody knows", UNKNOWN],
  ["reads beyond the end", Command.READ],
  ["flushes", Command.FLUSH],
] as const) {
  tests(`${what}: about a thousand in a turn`, async () => {
    const count = 30_000;
    const { turns, result } = await turnsUntil(serve(server(), [requests(count, type, 2 * SIZE)]));
    assert.is(result, count * 16);
    assert.ok(turns >= fewest(count), `${turns} turns`);
  });
}

tests("requests are counted across the chunks in which they come", async () => {
  const count = 10_000;
  const chunks = cut(requests(count, UNKNOWN), Request.size);
  const { turns } = await turnsUntil(serve(server(), chunks));
  assert.ok(turns >= fewest(count), `${turns} turns`);
});

tests("eight clients together have no more in a turn than one", async () => {
  const count = 5000;
  const clients = Array.from({ length: 8 }, () => serve(server(), [requests(count, UNKNOWN)]));
  const { turns } = await turnsUntil(Promise.all(clients));
  assert.ok(turns >= fewest(8 * count), `${turns} turns`);
});

tests("whoever asks for little is answered at once while sixteen others ask for very much", async () => {
  const floods = Array.from({ length: 16 }, () => serve(server(), [requests(20_000, UNKNOWN)]));
  let isOver = false;
  const over = Promise.all(floods).then(() => {
    isOver = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 20; i++) {
    const { turns } = await turnsUntil(serve(server(), [requests(1, Command.READ, 4096)]));
    assert.ok(turns <= 2, `${turns} turns`);
  }
  assert.not.ok(isOver, "the others are not done yet");
  await over;
});

tests("a few requests wait for nothing", async () => {
  const layer = server();
  const writer = layer.writable.getWriter();
  const reader = layer.readable.getReader();
  let isLater = false;
  setImmediate(() => {
    isLater = true;
  });
  writer.write(requests(50, UNKNOWN));
  for (let bytes = 0; bytes < 50 * 16; ) bytes += ((await reader.read()).value as Uint8Array).byteLength;
  assert.not.ok(isLater);
});

tests("CACHE counts for several requests, as it has read-ahead look for work", async () => {
  const count = 5000;
  const target: Export = { size: 2 ** 42, read: () => new Promise(() => {}), close: async () => {} };
  const near = fast({ window: { request: 1 << 18, outstanding: 1 << 22 } })(target);
  const { turns } = await turnsUntil(
    serve(transmission(near, { size: target.size, flags: 0xffff }), [
      requests(count, Command.CACHE, 2 ** 32 - 1),
    ]),
  );
  assert.ok(turns >= fewest(8 * count), `${turns} turns`);
});

tests("BLOCK_STATUS counts for many requests, as a file may be asked for a thousand extents", async () => {
  const count = 500;
  const target = { ...image, extents: async () => [{ length: SIZE, hole: false, zero: false }] };
  const layer = transmission(target, { size: SIZE, flags: 1, headers: "structured", allocation: 1 });
  const { turns } = await turnsUntil(serve(layer, [requests(count, Command.BLOCK_STATUS, SIZE)]));
  assert.ok(turns >= fewest(32 * count), `${turns} turns`);
});

tests("the public layers take turns as well", async () => {
  const count = 10_000;
  const parser = requestParser({});
  const parsed = source([requests(count, UNKNOWN)]).pipeThrough(parser);
  const { turns, result } = await turnsUntil(collect(parsed));
  assert.is(result.flat().length, count);
  assert.is(result.length, 1, "what one chunk has brought is handed on together all the same");
  assert.ok(turns >= fewest(count), `${turns} turns`);
  const handled = source(result).pipeThrough(requestHandler(image, { size: SIZE, flags: 1 }));
  const answered = await turnsUntil(collect(handled));
  assert.is(answered.result.flat().length, count);
  assert.ok(answered.turns >= fewest(count), `${answered.turns} turns`);
});

/** A chunk of a structured reply. */
function chunk(type: number, payload: Uint8Array, flags = 0): Uint8Array {
  return concat([StructuredReply.encode({ flags, type, cookie: 0n, length: payload.byteLength }), payload]);
}

const READ = { type: Command.READ, flags: 0, cookie: 0n, offset: 0, length: MAX_PAYLOAD };
const failed = chunk(ChunkType.ERROR, ErrorChunk.encode({ error: 5, messageLength: 0 }));
const hole = (i: number) => chunk(ChunkType.OFFSET_HOLE, OffsetHole.encode({ offset: 512 * i, length: 512 }));

for (const [what, one, last] of [
  ["error chunks", () => failed, chunk(ChunkType.NONE, new Uint8Array(0), ChunkFlag.DONE)],
  ["chunks of holes", hole, chunk(ChunkType.ERROR, ErrorChunk.encode({ error: 5, messageLength: 0 }), 1)],
] as const) {
  tests(`a server's ${what} without end: about a thousand in a turn`, async () => {
    const count = 20_000;
    const said = concat([...Array.from({ length: count }, (_, i) => one(i)), last]);
    const parser = replyParser(() => READ, { headers: "structured" });
    const { turns, result } = await turnsUntil(collect(source([said]).pipeThrough(parser)));
    assert.is(result.flat()[0]?.error, 5);
    assert.ok(turns >= fewest(count), `${turns} turns`);
  });
}

tests("of 2^20 descriptors in a reply the first 1,024 are looked at, and the rest is never held", () => {
  const count = 1 << 20;
  const length = BlockStatus.size + count * BlockDescriptor.size;
  const header = { flags: ChunkFlag.DONE, type: ChunkType.BLOCK_STATUS, cookie: 0n, length };
  const asked = { ...READ, type: Command.BLOCK_STATUS, length: 2 ** 31 };
  const parser = replyParsers(() => asked, { headers: "structured", allocation: 1 })();
  const start = concat([StructuredReply.encode(header), BlockStatus.encode({ context: 1 })]);
  const descriptors = concat(Array(32).fill(BlockDescriptor.encode({ length: 512, status: 0 })));
  let bytes = 0;
  let step = parser.next();
  while (!step.done) {
    assert.ok(step.value <= 1 << 15, `${step.value} bytes at a time`);
    const from = bytes < start.byteLength ? start.subarray(bytes) : descriptors;
    const next = new Uint8Array(step.value);
    next.set(from.subarray(0, Math.min(step.value, from.byteLength)));
    bytes += step.value;
    step = parser.next(next);
  }
  assert.is(bytes, StructuredReply.size + length);
  assert.is(step.value.extents?.length, 1024);
});

tests("replies with many descriptors take turns", async () => {
  const count = 500;
  const payload = new Uint8Array(BlockStatus.size + 1024 * BlockDescriptor.size);
  BlockStatus.encode({ context: 1 }, payload);
  for (let at = BlockStatus.size; at < payload.byteLength; at += BlockDescriptor.size) {
    BlockDescriptor.encode({ length: 512, status: 0 }, payload, at);
  }
  const said = concat(Array(count).fill(chunk(ChunkType.BLOCK_STATUS, payload, ChunkFlag.DONE)));
  const asked = { ...READ, type: Command.BLOCK_STATUS };
  const parser = replyParser(() => asked, { headers: "structured", allocation: 1 });
  const { turns } = await turnsUntil(collect(source([said]).pipeThrough(parser)));
  assert.ok(turns >= fewest(32 * count), `${turns} turns`);
});

tests("a server whose reply has no end takes turns on a link too", async () => {
  const [client, far] = transportPair();
  const remote = remoteExport({ size: SIZE, flags: 1, headers: "structured" }, client, client, 0);
  const reading = remote.read(0, 4096).catch((error: Error) => error);
  const count = 20_000;
  const writer = far.writable.getWriter();
  const last = chunk(ChunkType.NONE, new Uint8Array(0), ChunkFlag.DONE);
  writer.write(concat([...Array(count).fill(failed), last])).catch(() => {});
  const { turns, result } = await turnsUntil(reading);
  assert.instance(result, ExportError);
  assert.ok(turns >= fewest(count), `${turns} turns`);
  client.close();
});

tests("a client that haggles without end: each option counts for several requests", async () => {
  const count = 5000;
  const option = OptionRequest.encode({ option: UNKNOWN, length: 0 });
  const abort = OptionRequest.encode({ option: Option.ABORT, length: 0 });
  const said = concat([ClientFlags.encode({ flags: 3 }), ...Array(count).fill(option), abort]);
  const { readable, writable } = nbdServer(image);
  source([said], "open")
    .pipeTo(writable)
    .catch(() => {});
  const { turns } = await turnsUntil(collectBytes(readable));
  assert.ok(turns >= fewest(8 * count), `${turns} turns`);
});

tests("a server that lists very many exports takes turns", async () => {
  const count = 4000;
  const reply = (type: number, data: Uint8Array) =>
    concat([OptionReply.encode({ option: Option.LIST, type, length: data.byteLength }), data]);
  const listed = reply(Reply.SERVER, hex("00000001 61"));
  const greeting = hex("4e42444d41474943 49484156454f5054 0003");
  const [client, far] = transportPair();
  collectBytes(far.readable).catch(() => {});
  const writer = far.writable.getWriter();
  const done = reply(Reply.ACK, new Uint8Array(0));
  writer.write(concat([greeting, ...Array(count).fill(listed), done])).catch(() => {});
  const { turns, result } = await turnsUntil(listExports(client));
  assert.is(result.length, count);
  assert.ok(turns >= fewest(8 * count), `${turns} turns`);
});

tests(
  "queries for metadata contexts, of which an option has room for 16,000, are looked at up to 1,024",
  () => {
    const data = new Uint8Array(8 + 4 * 1025);
    const view = new DataView(data.buffer);
    view.setUint32(4, 1024);
    assert.is(decodeContextRequest(data.subarray(0, -4))?.queries.length, 1024);
    view.setUint32(4, 1025);
    assert.is(decodeContextRequest(data), undefined);
  },
);

tests("a recording takes turns, and lacks nothing at its end", async () => {
  const count = 10_000;
  const sandbox = new Sandbox();
  const path = sandbox.path("session.nbd");
  const [near, far] = transportPair();
  const { transport, end } = await recordToFile(near, "server", path, "a flood");
  const writer = far.writable.getWriter();
  writer.write(concat([ClientFlags.encode({ flags: 3 }), requests(count, UNKNOWN)])).catch(() => {});
  const reader = transport.readable.getReader();
  const { turns } = await turnsUntil(reader.read());
  assert.ok(turns >= fewest(4 * count), `${turns} turns`);
  near.close();
  await end();
  assert.is(readFileSync(path, "utf8").match(/^C 25609513/gm)?.length, count);
  await sandbox.end();
});

tests.run();
