import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../../src/export/memory.ts";
import { replyEncoder } from "../../../src/nbd/server/reply-encoder.ts";
import { requestHandler } from "../../../src/nbd/server/request-handler.ts";
import { requestParser } from "../../../src/nbd/server/request-parser.ts";
import { transmission } from "../../../src/nbd/server/transmission.ts";
import type { Negotiated } from "../../../src/nbd/transmission.ts";
import { transmissionFlags } from "../../../src/nbd/transmission-flags.ts";
import { concat } from "../../../src/streams/concat.ts";
import type { Layer } from "../../../src/streams/duplex.ts";
import { hex, sequence, toHex } from "../../bytes.ts";
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
      replies += expected.said.length;
    },
  );
  await fc.assert(any, { numRuns: 200 });
  assert.ok(replies > 1000, "there is something to compare");
});

tests("bytes that are no request, and an end inside one, fail it as they fail the parser", async () => {
  for (const wire of ["00000000".repeat(7), "25609513 0000", "25609513 0000 0001 0000000000000001"]) {
    const chunks = [hex(wire)];
    const expected = await outcome(inThree, {}, chunks);
    assert.ok(expected.error);
    assert.equal(await outcome(inOne, {}, chunks), expected);
  }
});

tests.run();
