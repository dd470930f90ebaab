import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../../src/export/memory.ts";
import { Command } from "../../../src/nbd/constants.ts";
import { Request } from "../../../src/nbd/messages.ts";
import { replyEncoder, requestHandler, requestParser, transmission } from "../../../src/nbd/server/layers.ts";
import type { NbdRequest, Negotiated } from "../../../src/nbd/transmission.ts";
import { transmissionFlags } from "../../../src/nbd/transmission-flags.ts";
import { ByteBudget } from "../../../src/streams/budget.ts";
import { concat } from "../../../src/streams/concat.ts";
import type { Layer } from "../../../src/streams/duplex.ts";
import { cut, hex, sequence, toHex } from "../../bytes.ts";
import { cutBy, cuts, requestMessages, SIZE } from "../generate.ts";
import { serveBytes } from "../hostile.ts";

const tests = suite("transmission");

const SETTLED: Pick<Negotiated, "headers" | "allocation">[] = [
  {},
  { headers: "structured" },
  { headers: "structured", allocation: 1 },
];

/** What is said, what is left on the disk and how it ends, by a layer that does one request at a time. */
async function outcome(
  make: (target: ReturnType<typeof memoryExport>, negotiated: Negotiated) => Layer<Uint8Array, Uint8Array>,
  settled: (typeof SETTLED)[number],
  chunks: Iterable<Uint8Array>,
) {
  const image = sequence(SIZE);
  const target = memoryExport(image);
  const negotiated = { size: target.size, flags: transmissionFlags(target, settled), ...settled };
  const { said, error } = await serveBytes(make(target, negotiated), chunks);
  return { said: toHex(said), error: error?.message, image: toHex(image) };
}

const inOne: Parameters<typeof outcome>[0] = (target, negotiated) =>
  transmission(target, negotiated, { limit: 1 });

const inThree: Parameters<typeof outcome>[0] = (target, negotiated) => {
  const parser = requestParser(negotiated);
  const readable = parser.readable
    .pipeThrough(requestHandler(target, negotiated, { limit: 1 }))
    .pipeThrough(replyEncoder(negotiated));
  return { writable: parser.writable, readable };
};

/** Room for less than many of the requests want together. */
const budget = new ByteBudget(SIZE);

/** With a stream of somebody else's in between, which hands a chunk on while the next one is parsed. */
const inThreeWithRoom: Parameters<typeof outcome>[0] = (target, negotiated) => {
  const room = budget.share(SIZE);
  const parser = requestParser(negotiated, { room });
  const readable = parser.readable
    .pipeThrough(new TransformStream<NbdRequest[], NbdRequest[]>())
    .pipeThrough(requestHandler(target, negotiated, { limit: 1, room }))
    .pipeThrough(replyEncoder(negotiated));
  return { writable: parser.writable, readable };
};

tests("property: it does what its three layers do, however the requests are cut", async () => {
  let replies = 0;
  const any = fc.asyncProperty(
    requestMessages,
    cuts,
    fc.constantFrom(...SETTLED),
    async (messages, sizes, settled) => {
      const chunks = cutBy(concat(messages), sizes);
      const expected = await outcome(inThree, settled, chunks);
      assert.equal(await outcome(inOne, settled, chunks), expected);
      assert.equal(await outcome(inThreeWithRoom, settled, chunks), expected);
      assert.is(budget.used, 0, "all room was given back");
      replies += expected.said.length;
    },
  );
  await fc.assert(any, { numRuns: 200 });
  assert.ok(replies > 1000, "there is something to compare");
});

tests("the parser collects a long payload only when there is room for it", async () => {
  const length = 100_000;
  const budget = new ByteBudget(length);
  const room = budget.share(length);
  await room.acquire(1);
  const parser = requestParser({}, { room });
  const reader = parser.readable.getReader();
  const writer = parser.writable.getWriter();
  const flush = Request.encode({ flags: 0, type: Command.FLUSH, cookie: 1n, offset: 0, length: 0 });
  const write = Request.encode({ flags: 0, type: Command.WRITE, cookie: 2n, offset: 0, length });
  let isTaken = false;
  const begun = writer.write(concat([flush, write, new Uint8Array(10)])).then(() => {
    isTaken = true;
  });
  assert.is((await reader.read()).value![0]!.type, Command.FLUSH, "what comes before is handed on");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.not(isTaken);
  room.release(1);
  await begun;
  assert.is(budget.used, length);
  const rest = writer.write(new Uint8Array(length - 10));
  const [request] = (await reader.read()).value!;
  assert.is(request!.held, length);
  assert.is(request!.payload!.byteLength, length);
  await rest;
  await writer.close();
});

tests(
  "reads that fill the room do not keep a write from being parsed, and it does not keep them",
  async () => {
    const length = 100_000;
    const target = memoryExport(new Uint8Array(4 * length));
    const negotiated: Negotiated = { size: target.size, flags: transmissionFlags(target, {}) };
    const budget = new ByteBudget(length);
    const room = budget.share(length);
    const parser = requestParser(negotiated, { room });
    const readable = parser.readable
      .pipeThrough(new TransformStream<NbdRequest[], NbdRequest[]>())
      .pipeThrough(requestHandler(target, negotiated, { room }))
      .pipeThrough(replyEncoder(negotiated));
    const requests = Array.from({ length: 20 }, (_, i) => {
      const type = i % 2 === 0 ? Command.READ : Command.WRITE;
      const header = Request.encode({ flags: 0, type, cookie: BigInt(i), offset: 0, length });
      return type === Command.READ ? header : concat([header, new Uint8Array(length)]);
    });
    const { said, error } = await serveBytes(
      { writable: parser.writable, readable },
      cut(concat(requests), 30_000),
    );
    assert.is(error, undefined);
    assert.is(said.byteLength, 20 * 16 + 10 * length);
    assert.is(budget.used, 0);
  },
);

tests("bytes that are no request, and an end inside one, fail it as they fail the parser", async () => {
  for (const wire of ["00000000".repeat(7), "25609513 0000", "25609513 0000 0001 0000000000000001"]) {
    const chunks = [hex(wire)];
    const expected = await outcome(inThree, {}, chunks);
    assert.ok(expected.error);
    assert.equal(await outcome(inOne, {}, chunks), expected);
  }
});

tests.run();
