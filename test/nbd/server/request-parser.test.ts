import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno } from "../../../src/export/error.ts";
import { Command } from "../../../src/nbd/constants.ts";
import { ProtocolError } from "../../../src/nbd/error.ts";
import { Request } from "../../../src/nbd/messages.ts";
import { request, requestParser } from "../../../src/nbd/server/request-parser.ts";
import type { NbdRequest } from "../../../src/nbd/transmission.ts";
import { UnexpectedEndError } from "../../../src/streams/parse.ts";
import { concat } from "../../../src/streams/payload.ts";
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

tests.run();
