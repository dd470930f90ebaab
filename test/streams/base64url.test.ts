import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fromBase64url, toBase64url } from "../../src/streams/base64url.ts";

const tests = suite("base64url");

tests("it is what Node makes of the bytes, and back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = toBase64url(bytes);
      assert.is(text, Buffer.from(bytes).toString("base64url"));
      assert.equal(fromBase64url(text), bytes);
    }),
  );
});

for (const [what, text] of [
  ["padding", "AA=="],
  ["a character that it does not have", "AA+A"],
  ["white space", "AA A"],
  ["a line end", "AAAA\n"],
  ["one character too many", "AAAAA"],
  ["bits that no byte has", "AB"],
  ["another script", "ÄÄÄÄ"],
] as const) {
  tests(`${what}: it is none`, () => assert.is(fromBase64url(text), undefined));
}

tests.run();
