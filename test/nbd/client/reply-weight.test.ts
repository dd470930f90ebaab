/** What a request counts on a link is never less than what a server of ours sends for it. */
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Extent } from "../../../src/export/export.ts";
import { replyWeights } from "../../../src/nbd/client/reply-weight.ts";
import { MAX_EXTENTS } from "../../../src/nbd/command/block-status.ts";
import { read } from "../../../src/nbd/command/read.ts";
import { Command, CommandFlag } from "../../../src/nbd/constants.ts";
import { encodeReplies } from "../../../src/nbd/server/reply-encoder.ts";
import type { NbdReply, Negotiated } from "../../../src/nbd/transmission.ts";

const tests = suite("what requests count on a link");

const LONGEST = 1 << 18;
const SIZE = 1 << 20;
const layouts = [undefined, "structured", "extended"] as const;

/** Bytes of a reply on the wire. */
function sizeOf(headers: Negotiated["headers"], reply: Partial<NbdReply>): number {
  let bytes = 0;
  const encode = encodeReplies({ ...(headers && { headers }), allocation: 1 }, {});
  encode([{ cookie: 1n, offset: 0, error: 0, ...reply }], (chunk) => {
    bytes += chunk.byteLength;
  });
  return bytes;
}

for (const headers of layouts) {
  const weights = replyWeights(headers ? { headers } : {}, LONGEST);
  const weigh = (type: number, length: number, flags = 0) => weights.of({ type, flags, length });

  tests(`${headers ?? "simple"} headers: a READ, with whatever holes`, async () => {
    const range = fc.record({ length: fc.integer({ min: 1, max: 40_000 }), zero: fc.boolean() });
    const asked = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: LONGEST }));
    await fc.assert(
      fc.asyncProperty(fc.array(range, { minLength: 1 }), asked, async (ranges, length) => {
        const target = {
          size: SIZE,
          read: async (_offset: number, bytes: number) => new Uint8Array(bytes),
          knownExtents: () => ranges.map(({ length, zero }): Extent => ({ length, hole: zero, zero })),
          close: async () => {},
        };
        const negotiated: Negotiated = { size: SIZE, flags: 1, ...(headers && { headers }) };
        const request = { type: Command.READ, flags: 0, cookie: 1n, offset: 0, length };
        const reply = await read.serve(request, target, negotiated, () => {});
        const sent = sizeOf(headers, reply!);
        assert.ok(sent <= weigh(Command.READ, length), `${sent} bytes for ${length}`);
      }),
    );
  });

  tests(`${headers ?? "simple"} headers: anything that fails, with many words`, () => {
    const failed = { error: 5, message: "ü".repeat(5000), errorOffset: 7 };
    for (const type of Object.values(Command)) {
      assert.ok(sizeOf(headers, failed) <= weigh(type, 1), `command ${type}`);
      assert.ok(weigh(type, 1) >= 4096, "their number is bounded too");
    }
  });

  tests(`${headers ?? "simple"} headers: a WRITE counts what it sends`, () => {
    assert.ok(weigh(Command.WRITE, LONGEST) >= LONGEST + (headers === "extended" ? 32 : 28));
  });

  if (!headers) continue;
  tests(`${headers} headers: a BLOCK_STATUS, as many extents as there can be`, () => {
    const extents = Array.from({ length: MAX_EXTENTS }, () => ({ length: 512, hole: true, zero: true }));
    const all = sizeOf(headers, { extents });
    assert.ok(all <= weigh(Command.BLOCK_STATUS, MAX_EXTENTS * 512));
    assert.ok(all <= weigh(Command.BLOCK_STATUS, 2 ** 32), "and of any longer range");
    const one = sizeOf(headers, { extents: extents.slice(0, 1) });
    const alone = weigh(Command.BLOCK_STATUS, 2 ** 32, CommandFlag.REQ_ONE);
    assert.ok(one <= alone && alone < 8192, "one extent counts as one");
    // A server of others tells as many as there are.
    const most = Array.from({ length: weights.inquiry / 512 }, () => ({
      length: 512,
      hole: true,
      zero: true,
    }));
    assert.ok(sizeOf(headers, { extents: most }) <= weigh(Command.BLOCK_STATUS, weights.inquiry));
    assert.ok(weigh(Command.BLOCK_STATUS, 2 ** 40) <= LONGEST + 64, "it is never more than a READ");
  });
}

tests.run();
