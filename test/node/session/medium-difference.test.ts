import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Introduction } from "../../../src/nbd/introduction.ts";
import { mediumDifference } from "../../../src/node/session/medium-difference.ts";

const tests = suite("what differs between two media");

const introduction: Introduction = {
  name: "disk.img",
  size: 512,
  modified: undefined,
  samples: new Uint8Array(),
  incarnation: "a",
  proof: undefined,
  changed: undefined,
};
const known = {
  ...{ size: 512, introduction, nonce: "AAECAwQFBgcICQoLDA0ODw", isWritable: true },
  wasChanged: () => false,
};

tests("what a server says of a change is quoted: it begins no line, and hides nothing", () => {
  const changed = `other bytes"\n\u202elocal: all is well`;
  assert.is(
    mediumDifference(known, { ...introduction, changed }),
    '"other bytes\\"\\n\\u{202e}local: all is well"',
  );
});

tests("a name likewise", () => {
  assert.is(mediumDifference(known, { ...introduction, name: "a\nb" }), 'it is "a\\nb", not "disk.img"');
});

tests.run();
