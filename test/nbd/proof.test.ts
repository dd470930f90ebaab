import { createHmac } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { proofOf, proves } from "../../src/nbd/proof.ts";
import { isWord, newWord } from "../../src/nbd/word.ts";

const tests = suite("proofs of a key");

const KEY = "AAECAwQFBgcICQoLDA0ODw";
const CHALLENGE = "EBESExQVFhcYGRobHB0eHw";

tests("a proof is the HMAC-SHA256 of the challenge", () => {
  const expected = createHmac("sha256", Buffer.from(KEY, "base64url"))
    .update(`nbd-proxy resume 1\n${CHALLENGE}`)
    .digest("base64url");
  assert.is(proofOf(KEY, CHALLENGE), expected);
});

tests("it proves that key for that challenge, and nothing else", () => {
  const proof = proofOf(KEY, CHALLENGE);
  assert.ok(proves(proof, KEY, CHALLENGE));
  assert.not.ok(proves(proof, CHALLENGE, CHALLENGE));
  assert.not.ok(proves(proof, KEY, KEY));
  assert.not.ok(proves(undefined, KEY, CHALLENGE));
  assert.not.ok(proves("", KEY, CHALLENGE));
  assert.not.ok(proves(`${proof}A`, KEY, CHALLENGE));
  assert.not.ok(proves(proof.slice(0, -1), KEY, CHALLENGE));
  for (let at = 0; at < proof.length; at++) {
    const other = proof[at] === "A" ? "B" : "A";
    assert.not.ok(
      proves(proof.slice(0, at) + other + proof.slice(at + 1), KEY, CHALLENGE),
      `character ${at}`,
    );
  }
});

tests("a word is new each time", () => {
  const words = Array.from({ length: 100 }, newWord);
  assert.ok(words.every(isWord));
  assert.is(new Set(words).size, words.length);
});

tests("what is no word is told without itself: it may be a key that was cut", () => {
  for (const wrong of ["", KEY.slice(1), `${KEY}A`, `${KEY.slice(0, -1)}x`, 5, undefined]) {
    assert.not.ok(isWord(wrong));
    assert.throws(
      () => proofOf(wrong as string, CHALLENGE),
      (error: Error) => error instanceof TypeError && !error.message.includes(KEY.slice(2, 10)),
    );
  }
});

tests.run();
