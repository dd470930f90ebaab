import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nbdFamily } from "../../../src/node/kernel/nbd-netlink.ts";
import {
  decodeAttributes,
  encodeAttributes,
  list,
  nested,
  text,
  u16,
  u32,
  u64,
} from "../../../src/node/kernel/netlink-attributes.ts";
import { hex, toHex } from "../../bytes.ts";

const tests = suite("netlink attributes");

// The bytes of these tests are those of a machine that is little-endian, as all are that CI has.

tests("what NBD_CMD_CONNECT is given, as the kernel's headers lay it out", () => {
  const bytes = encodeAttributes(nbdFamily.attributes, {
    index: 3,
    sizeBytes: 2 ** 40 + 512,
    sockets: [{ fd: 17 }, { fd: 18 }],
    backendIdentifier: "cd",
  });
  const expected = hex(`
    0800 0100 03000000
    0c00 0200 0002000000010000
    1c00 0780                       # a list
      0c00 0180  0800 0100 11000000
      0c00 0180  0800 0100 12000000
    0700 0a00 636400 00             # padded, which its length does not count
  `);
  assert.is(toHex(bytes), toHex(expected));
});

const all = {
  half: u16(1),
  word: u32(2),
  long: u64(3),
  name: text(4),
  inner: nested(5, { word: u32(1) }),
  words: list(6, u32(1)),
};

tests("what was written is read", () => {
  const values = {
    half: 0xfffe,
    word: 0xfffffffe,
    long: 2 ** 53 - 1,
    name: "é",
    inner: { word: 7 },
    words: [1, 2],
  };
  assert.equal(decodeAttributes(all, encodeAttributes(all, values)), values);
});

tests("what is absent, unknown or cut off is left out", () => {
  assert.equal(decodeAttributes(all, new Uint8Array(0)), {});
  const known = "0800 0200 05000000";
  for (const rest of ["", "0800 6300 01000000", "0800 0300", "0300 0100 00000000", "0000 0000", "ff"]) {
    assert.equal(decodeAttributes(all, hex(known + rest)), { word: 5 }, rest);
  }
});

tests.run();
