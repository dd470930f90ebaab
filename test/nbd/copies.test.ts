/** What a read costs that can be counted without a clock: copies of its bytes, and what is said on the link for it. */
import { randomBytes } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Export, Extent, Filter } from "../../src/export/export.ts";
import { fast } from "../../src/export/filters/fast.ts";
import { windows } from "../../src/export/filters/windows.ts";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import { ExtendedRequest } from "../../src/nbd/messages.ts";
import { serveClient } from "../../src/nbd/server/nbd-server.ts";
import { concat } from "../../src/streams/concat.ts";
import type { Transport } from "../../src/streams/duplex.ts";
import { giveBack, isLent, lend } from "../../src/streams/lent.ts";
import { transportPair } from "../../src/streams/pair.ts";
import { lending, lendToSpoil } from "../lending.ts";

const tests = suite("copies");

const LENGTH = 1 << 18;
const SIZE = 1 << 28;

/** Gives buffers of its own, and remembers them. */
function remembering(): { target: Export; given: Set<ArrayBufferLike> } {
  const given = new Set<ArrayBufferLike>();
  const target: Export = {
    size: SIZE,
    async read(_offset, length) {
      const bytes = new Uint8Array(length);
      given.add(bytes.buffer);
      return bytes;
    },
    async close() {},
  };
  return { target, given };
}

/** Notes the lengths of the chunks that are written to a transport: each is a message of a WebSocket. */
function noting(transport: Transport): { noted: Transport; chunks: number[] } {
  const chunks: number[] = [];
  const watch = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      chunks.push(chunk.byteLength);
      controller.enqueue(chunk);
    },
  });
  watch.readable.pipeTo(transport.writable).catch(() => {});
  return { noted: { ...transport, writable: watch.writable }, chunks };
}

/** A local client of a proxy of a server, all in memory, as the programs put them together; and what the proxy asks for. */
async function through(target: Export) {
  const [near, far] = transportPair();
  const serving = serveClient(far, target);
  const { noted, chunks } = noting(near);
  const remote = await nbdClient(noted);
  const [local, proxy] = transportPair();
  const proxied = fast({ window: remote.window })(remote);
  const proxying = serveClient(proxy, proxied);
  const client = await nbdClient(local);
  chunks.length = 0;
  return {
    client,
    requests: chunks,
    async end() {
      await client.close();
      await proxying;
      await proxied.close();
      await serving;
    },
  };
}

tests("long reads with much in flight go from the export to the local client without a copy", async () => {
  const { target, given } = remembering();
  const { client, end } = await through(target);
  const reads = await Promise.all(Array.from({ length: 64 }, (_, i) => client.read(i * LENGTH, LENGTH)));
  const copied = reads.filter((bytes) => !given.has((bytes as Uint8Array).buffer));
  // One may overlap with what was read ahead for the first of them.
  assert.ok(copied.length <= 1, `${copied.length} were copied`);
  await end();
});

tests("reads of one turn, and what is read ahead for them, are asked for in one message", async () => {
  const { target } = remembering();
  const { client, requests, end } = await through(target);
  await Promise.all(Array.from({ length: 16 }, (_, i) => client.read(i * (1 << 20), 4096)));
  // What comes after them is read ahead.
  assert.ok(requests[0]! >= 16 * ExtendedRequest.size);
  await end();
});

/** Copies what is written to it, some time before it asks for more, as a browser's WebSocket does. */
function copying(transport: Transport): Transport {
  const copy = new TransformStream<Uint8Array, Uint8Array>({
    async transform(chunk, controller) {
      await new Promise((resolve) => setImmediate(resolve));
      controller.enqueue(chunk.slice());
    },
  });
  copy.readable.pipeTo(transport.writable).catch(() => {});
  return { ...transport, writable: copy.writable };
}

tests("a page answers out of memory that it uses again, and all bytes are the file's", async () => {
  const [near, far] = transportPair();
  const content = new Uint8Array(randomBytes(1 << 25));
  const budget = 1 << 23;
  const { target: file, out } = lending(content);
  const target = windows({ budget })(file);
  const serving = serveClient(copying(far), target, { gatherUpTo: (1 << 20) + (1 << 14) });
  const client = await nbdClient(near);
  const check = async (offset: number, length: number) => {
    const bytes = await client.read(offset, length);
    assert.is(
      Buffer.compare(content.subarray(offset, offset + length), bytes),
      0,
      `${length} bytes at ${offset}`,
    );
  };
  const all = Array.from({ length: content.length / LENGTH }, (_, i) => i * LENGTH);
  await Promise.all(all.map((at) => check(at, LENGTH)));
  for (let i = 0; i < 500; i++) {
    const at = (i * 7919 * 4096) % content.length;
    await Promise.all([check(at, 4096), check((at * 3) % content.length, 4096)]);
  }
  for (let at = 0; at < 1 << 22; at += 4096) await check(at, 4096);
  await Promise.all(all.map((at) => check(at, LENGTH)));
  const held = [...out].reduce((sum, { byteLength }) => sum + byteLength, 0);
  assert.ok(held <= budget, `${held} bytes are held when nothing is read`);
  await client.close();
  await serving;
  await target.close();
});

tests("short replies are given back once they were copied to stand behind their headers", async () => {
  const [near, far] = transportPair();
  const { target, out } = lending(new Uint8Array(randomBytes(1 << 20)));
  const serving = serveClient(far, target);
  const client = await nbdClient(near);
  await Promise.all([0, 1, 2, 3].map((i) => client.read(i * 4096, 4096)));
  assert.is(out.size, 0);
  await client.close();
  await serving;
});

/** Lends what comes in, in chunks of any length, and spoils it when it is given back. */
function lentChunks(transport: Transport): { lent: Transport; out: Set<Uint8Array> } {
  const out = new Set<Uint8Array>();
  let waiting: Uint8Array[] = [];
  let emitted = 0;
  function emit(controller: TransformStreamDefaultController<Uint8Array>) {
    const all = concat(waiting);
    waiting = [];
    for (let at = 0; at < all.byteLength; ) {
      const length = [700_000, 100, 300_000, 65_536][emitted++ % 4]!;
      const chunk = all.slice(at, at + length);
      at += chunk.byteLength;
      controller.enqueue(lendToSpoil(chunk, out));
    }
  }
  const readable = transport.readable.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        waiting.push(chunk);
        if (waiting.length === 1) setImmediate(emit, controller);
      },
    }),
  );
  return { lent: { ...transport, readable }, out };
}

/** An export with a hole in each 128 KiB, so that a long read of it has an answer of many chunks. */
function holey(content: Uint8Array): Export {
  const [stripe, hole] = [1 << 17, 1 << 14];
  for (let at = 0; at < content.length; at += stripe) content.fill(0, at, at + hole);
  return {
    ...memoryExport(content, { readOnly: true }),
    knownExtents(offset, length) {
      const extents: Extent[] = [];
      for (let at = offset; at < offset + length; at += extents.at(-1)!.length) {
        const isHole = at % stripe < hole;
        const end = isHole ? hole : stripe;
        extents.push({
          length: Math.min(end - (at % stripe), offset + length - at),
          hole: isHole,
          zero: isHole,
        });
      }
      return extents;
    },
  };
}

for (const [what, make] of Object.entries<(content: Uint8Array) => Export>({
  "one chunk": (content) => memoryExport(content, { readOnly: true }),
  "many chunks": holey,
})) {
  const window = { request: 1 << 18, outstanding: 1 << 22 };
  for (const [how, filter] of Object.entries<Filter>({
    itself: (remote) => remote,
    "its cache": fast({ window }),
  })) {
    tests(`replies of ${what}, out of memory that is used again, by a client and ${how}`, async () => {
      const [near, far] = transportPair();
      const content = new Uint8Array(randomBytes(1 << 23));
      const serving = serveClient(far, make(content));
      const { lent, out } = lentChunks(near);
      const client = filter(await nbdClient(lent));
      let held: { offset: number; bytes: Uint8Array }[] = [];
      /** Some answers are given back at once, the others later. */
      function check(isEnd = false) {
        for (const { offset, bytes } of held) {
          assert.ok(
            Buffer.compare(content.subarray(offset, offset + bytes.length), bytes) === 0,
            `${offset}`,
          );
        }
        const kept = isEnd ? [] : held.filter((_, i) => i % 3 === 0).slice(-20);
        for (const one of held) if (!kept.includes(one)) giveBack(one.bytes);
        held = kept;
      }
      for (let round = 0; round < 20; round++) {
        const reads = Array.from({ length: 12 }, async (_, i) => {
          const length = [1 << 18, 4096, 1 << 16, 1_000_000, 70_000][(round + i) % 5]!;
          const offset = ((round * 12 + i) * 7919 * 512) % (content.length - length);
          const bytes = await client.read(offset, length);
          held.push({ offset, bytes });
        });
        await Promise.all(reads);
        check();
      }
      check(true);
      await client.close();
      await serving;
      assert.ok(out.size <= 2, `${out.size} chunks were never given back`);
    });
  }
}

tests("what is written to a remote export is not given back by the link", async () => {
  const [near, far] = transportPair();
  const memory = memoryExport(new Uint8Array(1 << 20));
  const serving = serveClient(far, memory);
  const client = await nbdClient(near);
  const data = lend(new Uint8Array(4096), () => assert.unreachable("it was given back"));
  await client.write!(0, data);
  assert.ok(isLent(data));
  await client.close();
  await serving;
});

tests.run();
