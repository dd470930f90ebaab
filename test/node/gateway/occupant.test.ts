import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { inUse } from "../../../src/node/gateway/occupant.ts";

const tests = suite("who has a configuration, in words");

const since = new Date(2026, 10, 28, 18, 57);
const now = new Date(2026, 10, 28, 20, 0);
const occupant = { since, name: "boot.iso", address: "10.9.0.2", silence: 12_345, isLost: false };

tests("since when, by what, from where, silent for how long", () => {
  assert.is(inUse(occupant, now), "in use since 18:57 by boot.iso from 10.9.0.2, silent for 12 s");
  assert.is(inUse({ ...occupant, silence: 999 }, now), "in use since 18:57 by boot.iso from 10.9.0.2");
});

tests("one whose link is lost is told as such", () => {
  const lost = { ...occupant, isLost: true };
  assert.is(inUse(lost, now), "in use since 18:57 by boot.iso from 10.9.0.2, lost for 12 s");
  assert.is(
    inUse({ ...lost, silence: 1 }, now),
    "in use since 18:57 by boot.iso from 10.9.0.2, lost for 0 s",
  );
});

tests("what is not known is left out", () => {
  assert.is(inUse({ ...occupant, name: "" }, now), "in use since 18:57 from 10.9.0.2, silent for 12 s");
  assert.is(inUse({ ...occupant, address: "", silence: 0 }, now), "in use since 18:57 by boot.iso");
});

tests("another day is named", () => {
  const words = inUse({ ...occupant, silence: 0 }, new Date(2026, 10, 29, 0, 1));
  assert.is(words, "in use since 2026-11-28 18:57 by boot.iso from 10.9.0.2");
});

tests("a name that could be taken for other words is quoted", () => {
  const name = "x from 192.0.2.1, silent for 99 s";
  assert.is(inUse({ ...occupant, name, silence: 0 }, now), `in use since 18:57 by "${name}" from 10.9.0.2`);
  const odd = 'a"b\n\u202e';
  assert.match(inUse({ ...occupant, name: odd }, now), / by "a\\"b\\n\\u\{202e\}" from 10/);
});

tests("a long name is shortened in the middle", () => {
  const words = inUse({ ...occupant, name: `begin${"x".repeat(300)}end.iso` }, now);
  assert.match(words, /^in use since 18:57 by beginx+…x+end\.iso from 10\.9\.0\.2, silent for 12 s$/);
  assert.ok(words.length > 110, "no more than necessary");
});

tests("whatever the name, it is one close reason, of printable characters", () => {
  const address = "2001:db8:1111:2222:3333:4444:5555:6666%enp0s31f6";
  // Quicker to make than arbitrary strings.
  const codes = fc.array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 400 });
  fc.assert(
    fc.property(codes, fc.nat(), (codes, silence) => {
      const name = String.fromCodePoint(...codes);
      const words = inUse({ since, name, address, silence, isLost: false }, new Date(2027, 1, 1));
      assert.ok(Buffer.byteLength(words) <= 123, words);
      assert.not.match(words, /[\p{C}\n]/u);
      assert.ok(words.includes(` from ${address}`));
    }),
  );
});

tests.run();
