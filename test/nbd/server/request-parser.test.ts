import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno } from "../../../src/export/error.ts";
import { Command } from "../../../src/nbd/constants.ts";
import { ProtocolError } from "../../../src/nbd/error.ts";
import { Request } from "../../../src/nbd/messages.ts";
import { requestParser } from "../../../src/nbd/server/layers.ts";
import { request } from "../../../src/nbd/server/request-parser.ts";
import type { NbdRequest } from "../../../src/nbd/transmission.ts";
import { concat } from "../../../src/streams/concat.ts";
import { UnexpectedEndError } from "../../../src/streams/parse.ts";
import { collect, cut, failure, hex, sequence, source } from "../../bytes.ts";

const tests = suite("request parser");

const READ = hex("25609513 0000 0000 0000000000000001 0000000000000200 00000010");
const WRITE = concat([hex("25609513 0001 0001 0000000000000002 0000000000000000 00000003"), hex("aabbcc")]);
const DISC = hex("25609513 0000 0002 0000000000000003 0000000000000000 00000000");

const parsed = async (chunks: Iterable<Uint8Array>, maximum?: number) => {
  const blockSize = maximum ? { blockSize: { minimum: 1, preferred: 4096, maximum } } : {};
  const got: NbdRequest[][] = [];
  return (await collect(source(chunks).pipeThrough(requestParser(blockSize)), got)).flat();
};

const read = { flags: 0, type: 0, cookie: 1n, offset: 0x200, length: 16 };
const write = { flags: 1, type: 1, cookie: 2n, offset: 0, length: 3, payload: hex("aabbcc") };
const disc = { flags: 0, type: 2, cookie: 3n, offset: 0, length: 0 };

for (const size of [1, 2, 3, 5, 7, 27, 28, 29, 64, 1000]) {
  tests(`chunks of ${size}: the same requests`, async () => {
    assert.equal(await parsed(cut(concat([READ, WRITE, READ]), size)), [read, write, read]);
  });
}

tests("property: requests and their payloads survive any split", async () => {
  const oneRequest = fc.record({
    flags: fc.integer({ min: 0, max: 0xffff }),
    type: fc.constantFrom(0, 1, 3, 4, 5, 6, 7, 0xffff),
    cookie: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    offset: fc.maxSafeNat(),
    length: fc.nat(300),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(oneRequest),
      fc.array(fc.integer({ min: 1, max: 100 })),
      async (list, sizes) => {
        const requests: NbdRequest[] = list.map((fields) =>
          fields.type === Command.WRITE ? { ...fields, payload: sequence(fields.length) } : { ...fields },
        );
        const wire = concat(
          requests.flatMap((r) => [Request.encode(r), r.payload ?? new Uint8Array(0)]),
          undefined,
        );
        const chunks: Uint8Array[] = [];
        for (let at = 0, i = 0; at < wire.byteLength; i++) {
          const size = sizes[i % sizes.length] ?? 50;
          chunks.push(wire.slice(at, at + size));
          at += size;
        }
        assert.equal(await parsed(chunks), requests);
      },
    ),
    { numRuns: 50 },
  );
});

tests("NBD_CMD_DISC is handed on and ends the layer; what follows is not looked at", async () => {
  const layer = requestParser({});
  const piped = source([concat([READ, DISC, hex("00 11 22")])]).pipeTo(layer.writable);
  piped.catch(() => {});
  assert.equal((await collect(layer.readable)).flat(), [read, disc]);
});

tests("a payload of 0xffffffff bytes is skipped in small pieces, never asked for as a whole", () => {
  const parser = request(1 << 25);
  const head = hex("25609513 0000 0001 0000000000000009 0000000000000000 ffffffff");
  const piece = new Uint8Array(1 << 16);
  let step = parser.next();
  assert.is(step.value, 28);
  step = parser.next(head);
  let skipped = 0;
  while (!step.done) {
    assert.ok(step.value <= 1 << 16, `${step.value} bytes were asked for`);
    skipped += step.value;
    step = parser.next(piece.subarray(0, step.value));
  }
  assert.is(skipped, 0xffffffff);
  assert.equal(step.value, {
    flags: 0,
    type: 1,
    cookie: 9n,
    offset: 0,
    length: 0xffffffff,
    refused: Errno.EINVAL,
  });
});

for (const size of [1000, 70_000, 1 << 20]) {
  tests(
    `an oversized payload in chunks of ${size}: it is refused and the next request is found`,
    async () => {
      const length = 300_001;
      const wire = concat([
        Request.encode({ flags: 0, type: 1, cookie: 5n, offset: 0, length }),
        sequence(length),
        READ,
      ]);
      const [big, next] = await parsed(cut(wire, size), 300_000);
      assert.is(big!.refused, Errno.EINVAL);
      assert.is(big!.payload, undefined);
      assert.equal(next, read);
    },
  );
}

tests("a payload of exactly the maximum is taken", async () => {
  const wire = concat([
    Request.encode({ flags: 0, type: 1, cookie: 5n, offset: 0, length: 512 }),
    sequence(512),
  ]);
  const [request] = await parsed([wire], 512);
  assert.equal(request!.payload, sequence(512));
  assert.is(request!.refused, undefined);
});

tests("only a WRITE has a payload: a TRIM of 4 GiB has none", async () => {
  const trim = Request.encode({ flags: 0, type: Command.TRIM, cookie: 5n, offset: 0, length: 0xffffffff });
  assert.equal((await parsed([concat([trim, READ])])).length, 2);
});

tests("a wrong magic ends it, after the requests before", async () => {
  const got: NbdRequest[][] = [];
  const wire = concat([READ, hex("25609514 0000 0000 0000000000000001 0000000000000000 00000000")]);
  const error = await failure(collect(source([wire]).pipeThrough(requestParser({})), got));
  assert.instance(error, ProtocolError);
  assert.is(error.message, "a request began with 0x25609514 where 0x25609513 was expected");
  assert.equal(got.flat(), [read]);
});

tests("an end inside a request or its payload is an error", async () => {
  for (const wire of [READ.slice(0, 27), WRITE.slice(0, 30)]) {
    const error = await failure(parsed([wire]));
    assert.instance(error, UnexpectedEndError);
    assert.match(error.message, /inside a request/);
  }
});

/** An extended request, in hex. */
const extended = (type: number, flags: number, length: string, offset = "0000000000000200") =>
  hex(`21e41c71 ${u16(flags)} ${u16(type)} 0000000000000005 ${offset} ${length}`);
const u16 = (n: number) => n.toString(16).padStart(4, "0");
const PAYLOAD = 1 << 5;
const parsedExtended = async (chunks: Uint8Array[], negotiated: Parameters<typeof requestParser>[0] = {}) =>
  (await collect(source(chunks).pipeThrough(requestParser({ ...negotiated, headers: "extended" })))).flat();
const head = { flags: 0, cookie: 5n, offset: 0x200 };

for (const size of [1, 3, 31, 32, 33, 1000]) {
  tests(`extended requests in chunks of ${size}`, async () => {
    const wire = concat([
      extended(0, 0, "0000000000000010"),
      extended(4, 1, "0001000000000000"),
      extended(1, PAYLOAD | 1, "0000000000000003"),
      hex("aabbcc"),
      extended(1, 0, "0000000000000001"),
      hex("dd"),
      extended(7, PAYLOAD | 8, "0000000000000010"),
      hex("0000000100000000 00000001 80000000"),
      extended(2, 0, "0000000000000000", "0000000000000000"),
      hex("ff"),
    ]);
    assert.equal(await parsedExtended(cut(wire, size)), [
      { ...head, type: 0, length: 16 },
      { ...head, type: 4, flags: 1, length: 2 ** 48 },
      { ...head, type: 1, flags: 1, length: 3, payload: hex("aabbcc") },
      { ...head, type: 1, length: 1, payload: hex("dd") },
      { ...head, type: 7, flags: 8, length: 2 ** 32, contexts: [1, 0x80000000] },
      { ...head, type: 2, length: 0, offset: 0 },
    ]);
  });
}

tests("a payload that a command has no use for is skipped, and refused", async () => {
  for (const [type, length] of [
    [0, 5],
    [3, 5],
    [4, 70_000],
    [7, 7], // no room for the length
    [7, 11], // half an id
    [7, 8 + 4100], // more ids than are looked at
  ] as const) {
    const wire = concat([
      extended(type, PAYLOAD, length.toString(16).padStart(16, "0")),
      sequence(length),
      extended(3, 0, "0000000000000000"),
    ]);
    assert.equal(await parsedExtended([wire]), [
      { ...head, type, length, refused: Errno.EINVAL },
      { ...head, type: 3, length: 0 },
    ]);
  }
});

tests("an extended WRITE that is too long, or to a read-only export, is skipped, and refused", async () => {
  const wire = concat([extended(1, PAYLOAD, "0000000000000201"), sequence(513)]);
  const blockSize = { minimum: 1, preferred: 512, maximum: 512 };
  const write = { ...head, type: 1, length: 513 };
  assert.equal(await parsedExtended([wire], { blockSize }), [{ ...write, refused: Errno.EINVAL }]);
  assert.equal(await parsedExtended([wire], { flags: 3 }), [{ ...write, refused: Errno.EPERM }]);
});

tests("a payload that no server takes breaks the protocol, before a byte of it", async () => {
  for (const [type, length] of [
    [1, "0000000002000001"],
    [7, "8000000000000000"],
  ] as const) {
    const error = await failure(parsedExtended([extended(type, PAYLOAD, length)]));
    assert.instance(error, ProtocolError);
    assert.match(error.message, /^the client announced a (WRITE|BLOCK_STATUS) with \d+ bytes of payload$/);
  }
});

tests("an offset beyond 2^53 is kept to the bit", async () => {
  const [request] = await parsedExtended([extended(0, 0, "0000000000000001", "fffffffffffffffe")]);
  assert.is(request!.exactOffset, 0xfffffffffffffffen);
  assert.ok(request!.offset > Number.MAX_SAFE_INTEGER);
});

tests("a compact request where extended ones were negotiated breaks the protocol", async () => {
  assert.instance(await failure(parsedExtended([concat([READ, READ])])), ProtocolError);
});

tests.run();
