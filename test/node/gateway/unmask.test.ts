import { randomBytes } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { unmask, unmaskByWords } from "../../../src/node/gateway/unmask.ts";

const tests = suite("unmask");

for (const [name, work] of Object.entries({ unmask, unmaskByWords })) {
  tests(`${name} takes the key's bytes in turn, from any place in memory, and touches no others`, () => {
    const key = Uint8Array.of(1, 20, 33, 255);
    for (let offset = 0; offset < 5; offset++) {
      for (const length of [0, 1, 2, 3, 4, 5, 7, 31, 32, 33, 1000, 1003]) {
        const memory = new Uint8Array(randomBytes(length + 8));
        const expected = memory.map((byte, i) =>
          i >= offset && i < offset + length ? byte ^ key[(i - offset) & 3]! : byte,
        );
        work(memory.subarray(offset, offset + length), key);
        assert.equal(memory, expected, `${length} bytes at ${offset}`);
      }
    }
  });
}

tests.run();
