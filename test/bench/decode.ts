/**
 * What it costs to decode requests: 28-byte READs from 64 KiB chunks through the public layer `requestParser`,
 * beside a bare loop over a DataView, which is the limit. Run: node --import tsx test/bench/decode.ts
 */
import { Command } from "../../src/nbd/constants.ts";
import { Request } from "../../src/nbd/messages.ts";
import { requestParser } from "../../src/nbd/server/layers.ts";

const CHUNK = 1 << 16;
const CHUNKS = 1000;
const ROUNDS = 5;

/** Chunks of 64 KiB full of requests, which therefore lie across chunk borders. */
function makeChunks(): Uint8Array[] {
  const count = Math.floor((CHUNK * CHUNKS) / Request.size);
  const bytes = new Uint8Array(CHUNK * CHUNKS);
  for (let i = 0; i < count; i++) {
    const message = { flags: 0, type: Command.READ, cookie: BigInt(i), offset: i * 4096, length: 4096 };
    Request.encode(message, bytes, i * Request.size);
  }
  const used = count * Request.size;
  return Array.from({ length: CHUNKS }, (_, i) => bytes.subarray(i * CHUNK, Math.min((i + 1) * CHUNK, used)));
}

async function throughTheLayer(chunks: readonly Uint8Array[]): Promise<number> {
  const layer = requestParser({});
  const writer = layer.writable.getWriter();
  const feeding = (async () => {
    for (const chunk of chunks) await writer.write(chunk);
    await writer.close();
  })();
  const reader = layer.readable.getReader();
  let count = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    count += value.length;
  }
  await feeding;
  return count;
}

/** The same fields read with a DataView out of one piece, with no object, stream or check. */
function bare(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let count = 0;
  let sum = 0;
  for (let at = 0; at + Request.size <= bytes.byteLength; at += Request.size) {
    sum += view.getUint32(at) + view.getUint16(at + 4) + view.getUint16(at + 6) + view.getUint32(at + 24);
    sum +=
      Number(view.getBigUint64(at + 8) & 1n) + view.getUint32(at + 16) * 2 ** 32 + view.getUint32(at + 20);
    count++;
  }
  return sum === 0 ? 0 : count;
}

const chunks = makeChunks();
const whole = new Uint8Array(
  chunks[0]!.buffer,
  0,
  chunks.reduce((sum, { byteLength }) => sum + byteLength, 0),
);
const perMessage = { layer: Number.POSITIVE_INFINITY, bare: Number.POSITIVE_INFINITY };
for (let round = 0; round < ROUNDS; round++) {
  let start = performance.now();
  const count = await throughTheLayer(chunks);
  perMessage.layer = Math.min(perMessage.layer, ((performance.now() - start) * 1000) / count);
  start = performance.now();
  const same = bare(whole);
  perMessage.bare = Math.min(perMessage.bare, ((performance.now() - start) * 1000) / same);
  if (count !== same) throw new Error(`${count} requests came out of ${same}`);
}
const { layer, bare: limit } = perMessage;
console.log(
  `requestParser ${layer.toFixed(3)} µs a request, bare loop ${limit.toFixed(3)} µs: ${(layer / limit).toFixed(1)} times`,
);
