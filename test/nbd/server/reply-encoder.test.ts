import { suite } from "uvu";
import * as assert from "uvu/assert";
import { replyEncoder } from "../../../src/nbd/server/layers.ts";
import type { NbdReply } from "../../../src/nbd/transmission.ts";
import { isLent, lend } from "../../../src/streams/lent.ts";
import { collect, collectBytes, hex, sequence, source, toHex } from "../../bytes.ts";

const tests = suite("reply encoder");

const zero = { hole: true, zero: true };
const data = { hole: false, zero: false };

/** Each kind of reply, and what it is with structured and with extended headers. */
const replies: [string, Partial<NbdReply>, string, string][] = [
  [
    "success without data",
    {},
    "668e33ef 0001 0000 0102030405060708 00000000",
    "6e8a278c 0001 0000 0102030405060708 0000000000000100 0000000000000000",
  ],
  [
    "an error",
    { error: 5 },
    "668e33ef 0001 8001 0102030405060708 00000006 00000005 0000",
    "6e8a278c 0001 8001 0102030405060708 0000000000000100 0000000000000006 00000005 0000",
  ],
  [
    "an error with words",
    { error: 28, message: "füll" },
    "668e33ef 0001 8001 0102030405060708 0000000b 0000001c 0005 66c3bc6c6c",
    "6e8a278c 0001 8001 0102030405060708 0000000000000100 000000000000000b 0000001c 0005 66c3bc6c6c",
  ],
  [
    "an error with words and a place",
    { error: 5, message: "no", errorOffset: 0x102 },
    "668e33ef 0001 8002 0102030405060708 00000010 00000005 0002 6e6f 0000000000000102",
    "6e8a278c 0001 8002 0102030405060708 0000000000000100 0000000000000010 00000005 0002 6e6f 0000000000000102",
  ],
  [
    "data",
    { payload: hex("aabbcc") },
    "668e33ef 0001 0001 0102030405060708 0000000b 0000000000000100 aabbcc",
    "6e8a278c 0001 0001 0102030405060708 0000000000000100 000000000000000b 0000000000000100 aabbcc",
  ],
  [
    "data and a hole and data",
    { pieces: [hex("aa"), 0x10000, hex("bbcc")] },
    `668e33ef 0000 0001 0102030405060708 00000009 0000000000000100 aa
     668e33ef 0000 0002 0102030405060708 0000000c 0000000000000101 00010000
     668e33ef 0001 0001 0102030405060708 0000000a 0000000000010101 bbcc`,
    `6e8a278c 0000 0001 0102030405060708 0000000000000100 0000000000000009 0000000000000100 aa
     6e8a278c 0000 0002 0102030405060708 0000000000000100 000000000000000c 0000000000000101 00010000
     6e8a278c 0001 0001 0102030405060708 0000000000000100 000000000000000a 0000000000010101 bbcc`,
  ],
  [
    "a hole",
    { pieces: [0x2000000] },
    "668e33ef 0001 0002 0102030405060708 0000000c 0000000000000100 02000000",
    "6e8a278c 0001 0002 0102030405060708 0000000000000100 000000000000000c 0000000000000100 02000000",
  ],
  [
    "extents",
    {
      extents: [
        { length: 512, ...data },
        { length: 0xfffffe00, ...zero },
        { length: 1, hole: true, zero: false },
        { length: 2, hole: false, zero: true },
      ],
    },
    `668e33ef 0001 0005 0102030405060708 00000024 00000009
     00000200 00000000 fffffe00 00000003 00000001 00000001 00000002 00000002`,
    `6e8a278c 0001 0006 0102030405060708 0000000000000100 0000000000000048 00000009 00000004
     0000000000000200 0000000000000000 00000000fffffe00 0000000000000003
     0000000000000001 0000000000000001 0000000000000002 0000000000000002`,
  ],
];

const encoded = async (headers: "structured" | "extended", all: NbdReply[]) =>
  toHex(await collectBytes(source([all]).pipeThrough(replyEncoder({ headers, allocation: 9 }))));

for (const [what, fields, structured, extended] of replies) {
  tests(`${what}, structured and extended`, async () => {
    const reply: NbdReply = { cookie: 0x0102030405060708n, error: 0, offset: 0x100, ...fields };
    assert.is(await encoded("structured", [reply]), toHex(hex(structured)));
    assert.is(await encoded("extended", [reply]), toHex(hex(extended)));
    assert.is(await encoded("structured", [reply, reply]), toHex(hex(structured + structured)));
  });
}

tests("an extended reply tells an offset beyond 2^53 to the bit, and an extent of 2^48 bytes", async () => {
  const offset = 2n ** 64n - 1n;
  assert.is(
    await encoded("extended", [{ cookie: 1n, error: 22, offset }]),
    toHex(hex("6e8a278c 0001 8001 0000000000000001 ffffffffffffffff 0000000000000006 00000016 0000")),
  );
  const extents = [{ length: 2 ** 48, ...data }];
  assert.is(
    await encoded("extended", [{ cookie: 1n, error: 0, offset: 0, extents }]),
    toHex(
      hex(`6e8a278c 0001 0006 0000000000000001 0000000000000000 0000000000000018 00000009 00000001
           0001000000000000 0000000000000000`),
    ),
  );
});

tests("words beyond 1,024 bytes are cut between two letters", async () => {
  const message = `a${"é".repeat(1000)}`;
  const bytes = await encoded("structured", [{ cookie: 1n, error: 5, offset: 0, message }]);
  assert.is(
    bytes,
    toHex(hex(`668e33ef 0001 8001 0000000000000001 00000405 00000005 03ff 61 ${"c3a9".repeat(511)}`)),
  );
});

tests("long data is not copied, and goes out by itself", async () => {
  const payload = sequence(1 << 16);
  const layer = replyEncoder({ headers: "structured" });
  const chunks = await collect(source([[{ cookie: 1n, error: 0, offset: 0, payload }]]).pipeThrough(layer));
  assert.is(chunks.length, 2);
  assert.is(chunks[1], payload);
});

const long = (cookie: bigint): NbdReply => ({
  cookie,
  error: 0,
  offset: 0,
  payload: sequence(1 << 16, Number(cookie)),
});

for (const headers of ["simple", "structured", "extended"] as const) {
  const negotiated = headers === "simple" ? {} : { headers };

  tests(`${headers} replies are one chunk, in memory that is used again`, async () => {
    const batches = [[long(1n), { cookie: 2n, error: 0, offset: 0 }, long(3n)], [long(4n)]];
    const expected = await collectBytes(source(batches).pipeThrough(replyEncoder(negotiated)));
    const payloads: Uint8Array[] = [];
    for (const reply of batches.flat()) {
      if (!("payload" in reply)) continue;
      const payload = reply.payload as Uint8Array;
      payloads.push(lend(payload, () => payload.fill(0xee)));
    }
    let gathered = "";
    let chunks = 0;
    const memory = new Set<ArrayBufferLike>();
    const copying = new WritableStream<Uint8Array>({
      async write(bytes) {
        memory.add(bytes.buffer);
        // What would come before this has ended would be in the same memory.
        await new Promise((resolve) => setTimeout(resolve, 10));
        gathered += toHex(bytes);
        chunks++;
      },
    });
    await source(batches)
      .pipeThrough(replyEncoder(negotiated, { gatherUpTo: 3 << 16 }))
      .pipeTo(copying);
    assert.is(chunks, batches.length);
    assert.is(memory.size, 1);
    assert.not.ok(payloads.some(isLent), "all were given back");
    assert.ok(gathered === toHex(expected), "the bytes are the same");
  });

  tests(`${headers} replies that do not fit go out as they would without`, async () => {
    const batch = [long(1n), long(2n)];
    const layer = replyEncoder(negotiated, { gatherUpTo: (1 << 17) + 10 });
    const chunks = await collect(source([batch]).pipeThrough(layer));
    assert.is(chunks.length, 4);
    assert.is(chunks[1], batch[0]!.payload);
  });
}

tests.run();
