import { suite } from "uvu";
import * as assert from "uvu/assert";
import { replyParser } from "../../../src/nbd/client/reply-parser.ts";
import { ProtocolError } from "../../../src/nbd/error.ts";
import type { NbdReply } from "../../../src/nbd/transmission.ts";
import { UnexpectedEndError } from "../../../src/streams/parse.ts";
import { collect, cut, failure, hex, source } from "../../bytes.ts";

const tests = suite("reply parser");

/** Outstanding: reads of 4 and 0 bytes, and a write. */
const lengths = new Map([
  [1n, 4],
  [2n, 0],
  [3n, 0],
]);
const lengthOf = (cookie: bigint) => lengths.get(cookie);
const parsed = (chunks: Iterable<Uint8Array>, into: NbdReply[][] = []) =>
  collect(source(chunks).pipeThrough(replyParser(lengthOf)), into);

const wire = hex(`
  67446698 00000000 0000000000000003            # the write
  67446698 00000000 0000000000000001 aabbccdd   # the read
  67446698 00000000 0000000000000002            # the read of nothing
  67446698 00000005 0000000000000001            # the read failed: no data
  67446698 0000001c 0000000000000003`);
const replies = [
  { cookie: 3n, error: 0 },
  { cookie: 1n, error: 0, payload: hex("aabbccdd") },
  { cookie: 2n, error: 0 },
  { cookie: 1n, error: 5 },
  { cookie: 3n, error: 28 },
];

for (const size of [1, 2, 3, 15, 16, 17, 20, 1000]) {
  tests(`chunks of ${size}: the same replies, in any order of cookies`, async () => {
    assert.equal((await parsed(cut(wire, size))).flat(), replies);
  });
}

for (const [what, bytes, message] of [
  [
    "an unknown cookie",
    "67446698 00000000 00000000000000ff",
    "the server answered a request that is not outstanding, cookie 0xff",
  ],
  [
    "an unknown cookie with an error",
    "67446698 00000005 00000000000000ff",
    "the server answered a request that is not outstanding, cookie 0xff",
  ],
  [
    "a structured reply, which was not negotiated",
    "668e33ef 0001 0001 0000000000000001 00000000",
    "a simple reply began with 0x668e33ef where 0x67446698 was expected",
  ],
] as const) {
  tests(`${what} fails the layer, after the replies before`, async () => {
    const got: NbdReply[][] = [];
    const error = await failure(parsed([hex(`67446698 00000000 0000000000000003 ${bytes}`)], got));
    assert.instance(error, ProtocolError);
    assert.is(error.message, message);
    assert.equal(got.flat(), [replies[0]]);
  });
}

tests("an end inside a reply or its data is an error", async () => {
  for (const end of [15, 16, 19]) {
    const error = await failure(parsed([wire.slice(16, 16 + end)]));
    assert.instance(error, UnexpectedEndError);
    assert.match(error.message, /inside a reply/);
  }
});

tests.run();
