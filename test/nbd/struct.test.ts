import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as constants from "../../src/nbd/constants.ts";
import { ProtocolError } from "../../src/nbd/error.ts";
import * as messages from "../../src/nbd/messages.ts";
import {
  ExportNameReply,
  Greeting,
  OptionReply,
  OptionRequest,
  Request,
  SimpleReply,
} from "../../src/nbd/messages.ts";
import { byteCount, magic, type Struct, struct, u16, u32, u64 } from "../../src/nbd/struct.ts";
import { hex, toHex } from "../bytes.ts";

const tests = suite("struct");
const n16 = fc.integer({ min: 0, max: 0xffff });
const n32 = fc.integer({ min: 0, max: 0xffffffff });
const n64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const count = fc.maxSafeNat();

function isIdentity<T>(message: Struct<T>, values: fc.Arbitrary<T>) {
  fc.assert(
    fc.property(values, fc.nat(9), (fields, at) => {
      const value = { ...fields };
      const bytes = message.encode(value);
      assert.is(bytes.byteLength, message.size);
      assert.equal(message.decode(bytes), value);
      // Not only at the start of a buffer.
      const inside = message.encode(value, new Uint8Array(message.size + 10), at);
      assert.equal(inside.slice(at, at + message.size), bytes);
      assert.equal(message.decode(inside.subarray(at)), value);
    }),
  );
}

tests("property: what is encoded is decoded again, message by message", () => {
  isIdentity(Greeting, fc.record({ style: n64, flags: n16 }));
  isIdentity(OptionRequest, fc.record({ option: n32, length: n32 }));
  isIdentity(OptionReply, fc.record({ option: n32, type: n32, length: n32 }));
  isIdentity(ExportNameReply, fc.record({ size: count, flags: n16 }));
  isIdentity(Request, fc.record({ flags: n16, type: n16, cookie: n64, offset: count, length: n32 }));
  isIdentity(SimpleReply, fc.record({ error: n32, cookie: n64 }));
});

/** Every struct of messages.ts. */
const structs = Object.entries(
  messages as unknown as Record<string, Struct<Record<string, number | bigint>>>,
);

/** The protocol's magics, of which a struct begins with one or none. */
const magics = Object.values(constants).flatMap((value) => {
  if (typeof value === "bigint") return hex(value.toString(16).padStart(16, "0"));
  return typeof value === "number" ? hex(value.toString(16).padStart(8, "0")) : [];
});

/** What these bytes are with the magic that the struct wants in front. */
function begun(message: Struct<object>, bytes: Uint8Array): Uint8Array {
  for (const begin of [new Uint8Array(0), ...magics]) {
    const attempt = bytes.slice(0, message.size);
    if (begin.byteLength > message.size) continue;
    attempt.set(begin);
    try {
      message.decode(attempt);
      return attempt;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
    }
  }
  throw new Error("it begins with none of the magics");
}

for (const [name, message] of structs) {
  tests(`property: ${name}: any bytes that are decoded are encoded again`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: message.size, maxLength: message.size }), (bytes) => {
        const wire = begun(message, bytes);
        const value = message.decode(wire);
        const again = message.encode(value);
        assert.equal(message.decode(again), value);
        // Beyond 2^53 a number of bytes is not exact.
        const isExact = Object.values(value).every((field) => typeof field === "bigint" || field <= 2 ** 53);
        if (isExact) assert.is(toHex(again), toHex(wire));
      }),
    );
  });
}

tests("messages are laid out as the specification has them", () => {
  const wire = toHex(
    Request.encode({
      flags: 1,
      type: 6,
      cookie: 0x0102030405060708n,
      offset: 0x1f_0000_0203,
      length: 0x80000001,
    }),
  );
  assert.is(wire, "25609513 0001 0006 0102030405060708 0000001f00000203 80000001".replace(/ /g, ""));
  assert.is(toHex(SimpleReply.encode({ error: 5, cookie: 1n })), "67446698000000050000000000000001");
  assert.is(
    toHex(Greeting.encode({ style: 0x49484156454f5054n, flags: 3 })),
    "4e42444d4147494349484156454f50540003",
  );
  assert.is(toHex(OptionRequest.encode({ option: 7, length: 6 })), "49484156454f50540000000700000006");
  assert.is(
    toHex(OptionReply.encode({ option: 7, type: 0x80000006, length: 0 })),
    "0003e889045565a9000000078000000600000000",
  );
  assert.equal(
    [Greeting, OptionRequest, OptionReply, ExportNameReply, Request, SimpleReply].map(({ size }) => size),
    [18, 16, 20, 10, 28, 16],
  );
});

tests("a magic that is wrong says what came and what was expected", () => {
  assert.throws(
    () => SimpleReply.decode(hex("668e33ef 00000000 0000000000000001")),
    (error: Error) =>
      error instanceof ProtocolError &&
      error.message === "a simple reply began with 0x668e33ef where 0x67446698 was expected",
  );
});

tests("a number of bytes beyond 2^53 stays beyond it", () => {
  const field = struct("count", (next) => ({ count: next(byteCount) }));
  const read = (text: string) => field.decode(hex(text)).count;
  assert.is(read("001fffffffffffff"), Number.MAX_SAFE_INTEGER);
  for (const text of ["0020000000000000", "0020000000000001", "8000000000000000", "ffffffffffffffff"]) {
    assert.ok(read(text) >= 2 ** 53, text);
    assert.not.ok(Number.isSafeInteger(read(text)), text);
  }
});

tests("a struct is a parser that asks for its size", () => {
  const message = struct("thing", (next) => ({ a: next(u16), b: next(u64) }), magic(u32, 7));
  const parser = message.parser();
  assert.equal(parser.next(), { done: false, value: 14 });
  assert.equal(parser.next(hex("00000007 0102 0000000000000009")), {
    done: true,
    value: { a: 0x102, b: 9n },
  });
});

tests.run();
