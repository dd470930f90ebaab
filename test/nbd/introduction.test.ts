import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ProtocolError } from "../../src/nbd/error.ts";
import {
  type Introduction,
  introducedContext,
  introduceQuery,
  keyQuery,
  readIntroducedContext,
  readIntroduceQuery,
  readKeyQuery,
} from "../../src/nbd/introduction.ts";
import { proofOf } from "../../src/nbd/proof.ts";

const tests = suite("introductions");

const CHALLENGE = "AAECAwQFBgcICQoLDA0ODw";
const NONCE = "EBESExQVFhcYGRobHB0eHw";

const word = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString("base64url"));
/** Words of any characters, halves of characters too. */
const words = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
      fc.constantFrom("\0", '"', "\\", "\ud800", "😀"),
    ),
    { maxLength: 300 },
  )
  .map((characters) => characters.join(""));
const introductions: fc.Arbitrary<Introduction> = fc.record({
  name: words,
  size: fc.maxSafeNat(),
  modified: fc.option(fc.maxSafeInteger(), { nil: undefined }),
  samples: fc
    .integer({ min: 0, max: 32 })
    .chain((n) => fc.uint8Array({ minLength: 8 * n, maxLength: 8 * n })),
  incarnation: fc.stringMatching(/^[\w-]{1,64}$/),
  proof: fc.option(
    word.map((key) => proofOf(key, CHALLENGE)),
    { nil: undefined },
  ),
  changed: fc.option(words, { nil: undefined }),
});

tests("what a gateway asks is what a server reads", () => {
  fc.assert(
    fc.property(word, word, fc.integer({ min: 0, max: 0x7fffffff }), (challenge, nonce, wait) => {
      const query = introduceQuery({ challenge, nonce, wait });
      assert.is(query, `nbd-proxy:introduce=1,${challenge},${nonce},${wait}`);
      assert.equal(readIntroduceQuery(query), { challenge, nonce, wait });
      assert.is(readKeyQuery(query), undefined);
      assert.is(readKeyQuery(keyQuery(nonce)), nonce);
      assert.is(readIntroduceQuery(keyQuery(nonce)), undefined);
    }),
  );
});

tests("what a server tells is what a gateway reads, its longest words but the first 255 characters", () => {
  const cut = (text: string | undefined) => text && Array.from(text).slice(0, 255).join("");
  fc.assert(
    fc.property(introductions, (introduction) => {
      const context = introducedContext(introduction);
      assert.ok(Buffer.byteLength(context) <= 4096, `${Buffer.byteLength(context)} bytes`);
      const { name, changed } = introduction;
      assert.equal(readIntroducedContext(context), {
        ...introduction,
        name: cut(name),
        changed: changed === undefined ? undefined : cut(changed),
      });
    }),
  );
});

tests("the longest introduction fits in a name", () => {
  const context = introducedContext({
    name: "\ud800".repeat(1000),
    size: Number.MAX_SAFE_INTEGER,
    modified: Number.MIN_SAFE_INTEGER,
    samples: new Uint8Array(256),
    incarnation: "x".repeat(64),
    proof: proofOf(NONCE, CHALLENGE),
    changed: "\0".repeat(1000),
  });
  assert.ok(Buffer.byteLength(context) <= 4096, `${Buffer.byteLength(context)} bytes`);
  assert.is(readIntroducedContext(context).name, "\ud800".repeat(255));
});

tests("a time with a fraction, as file systems have it, is told in whole milliseconds", () => {
  const told = introducedContext({ ...plain, modified: 1234.9 });
  assert.is(readIntroducedContext(told).modified, 1234);
});

for (const [what, query] of [
  ["nothing", ""],
  ["the namespace", "nbd-proxy:"],
  ["no version", `nbd-proxy:introduce=${CHALLENGE},${NONCE},300`],
  ["another version", `nbd-proxy:introduce=2,${CHALLENGE},${NONCE},300`],
  ["a longer version", `nbd-proxy:introduce=11,${CHALLENGE},${NONCE},300`],
  ["no wait", `nbd-proxy:introduce=1,${CHALLENGE},${NONCE}`],
  ["an empty wait", `nbd-proxy:introduce=1,${CHALLENGE},${NONCE},`],
  ["a negative wait", `nbd-proxy:introduce=1,${CHALLENGE},${NONCE},-1`],
  ["a wait of half a second", `nbd-proxy:introduce=1,${CHALLENGE},${NONCE},0.5`],
  ["a wait with a zero before it", `nbd-proxy:introduce=1,${CHALLENGE},${NONCE},0300`],
  ["a wait beyond 2^31", `nbd-proxy:introduce=1,${CHALLENGE},${NONCE},2147483648`],
  ["something more", `nbd-proxy:introduce=1,${CHALLENGE},${NONCE},300,1`],
  ["a line end", `nbd-proxy:introduce=1,${CHALLENGE},${NONCE},300\n`],
  ["a challenge of 15 bytes", `nbd-proxy:introduce=1,AAECAwQFBgcICQoLDA0O,${NONCE},300`],
  ["a nonce of 17 bytes", `nbd-proxy:introduce=1,${CHALLENGE},EBESExQVFhcYGRobHB0eHyA,300`],
  ["a nonce that is none", `nbd-proxy:introduce=1,${CHALLENGE},EBESExQVFhcYGRobHB0e+w,300`],
  ["upper case", `NBD-PROXY:introduce=1,${CHALLENGE},${NONCE},300`],
] as const) {
  tests(`a query with ${what} is none`, () => assert.is(readIntroduceQuery(query), undefined));
}

for (const query of ["nbd-proxy:key", "nbd-proxy:key=", "nbd-proxy:key=kept", `nbd-proxy:key=${NONCE}A`]) {
  tests(`${query} gives no key`, () => assert.is(readKeyQuery(query), undefined));
}

const plain: Introduction = {
  name: "disk.img",
  size: 4096,
  modified: 1,
  samples: new Uint8Array(8),
  incarnation: "a",
  proof: undefined,
  changed: undefined,
};
const told = {
  version: 1,
  name: "disk.img",
  size: 4096,
  modified: 1,
  samples: "AAAAAAAAAAA",
  incarnation: "a",
};

tests("what the gateway reads is this JSON; what it does not know it leaves out", () => {
  assert.is(introducedContext(plain), `nbd-proxy:introduced=${JSON.stringify(told)}`);
  assert.equal(
    readIntroducedContext(`nbd-proxy:introduced=${JSON.stringify({ ...told, more: [1] })}`),
    plain,
  );
});

const changes: Readonly<Record<string, unknown>> = {
  "no version": { version: undefined },
  "another version": { version: 2 },
  "a version in quotes": { version: "1" },
  "no name": { name: undefined },
  "a name that is a number": { name: 5 },
  "a name of 256 characters": { name: "x".repeat(256) },
  "no size": { size: undefined },
  "a size below 0": { size: -1 },
  "a size with a fraction": { size: 0.5 },
  "a size beyond 2^53": { size: 2 ** 53 },
  "a size in quotes": { size: "1" },
  "no time": { modified: undefined },
  "a time with a fraction": { modified: 0.5 },
  "a time beyond 2^53": { modified: 2 ** 53 },
  "a time in quotes": { modified: "1" },
  "no samples": { samples: undefined },
  "samples with padding": { samples: "AAAAAAAAAAA=" },
  "samples of 7 bytes": { samples: "AAAAAAAAAA" },
  "33 samples": { samples: Buffer.alloc(264).toString("base64url") },
  "no incarnation": { incarnation: undefined },
  "an empty incarnation": { incarnation: "" },
  "an incarnation of 65 characters": { incarnation: "x".repeat(65) },
  "an incarnation with a line end": { incarnation: "a\n" },
  "a proof that is null": { proof: null },
  "a proof that is too short": { proof: "AAAA" },
  "a change that is no words": { changed: true },
  "a change in 256 characters": { changed: "x".repeat(256) },
};
const contexts: [string, string][] = [
  ["nothing", ""],
  ["another context", "nbd-proxy:key=kept"],
  ["another namespace", `base:introduced=${JSON.stringify(told)}`],
  ["no JSON", "nbd-proxy:introduced={"],
  ["null", "nbd-proxy:introduced=null"],
  ["a number", "nbd-proxy:introduced=1"],
  ["a list", "nbd-proxy:introduced=[1]"],
  ["more than a name may have", `nbd-proxy:introduced=${JSON.stringify({ ...told, x: "x".repeat(5000) })}`],
  ...Object.entries(changes).map(([what, change]): [string, string] => [
    what,
    `nbd-proxy:introduced=${JSON.stringify({ ...told, ...(change as object) })}`,
  ]),
];
for (const [what, context] of contexts) {
  tests(`an introduction with ${what} breaks the protocol`, () => {
    assert.throws(
      () => readIntroducedContext(context),
      (error: unknown) =>
        error instanceof ProtocolError &&
        /^the server sent an introduction that makes no sense: [\w' ]+$/.test(error.message),
    );
  });
}

tests.run();
