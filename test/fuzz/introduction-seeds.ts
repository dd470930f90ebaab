/** What the fuzzer of introductions begins with. */
import { introducedContext, introduceQuery, keyQuery } from "../../src/nbd/introduction.ts";
import { proofOf } from "../../src/nbd/proof.ts";

const WORDS = ["AAECAwQFBgcICQoLDA0ODw", "EBESExQVFhcYGRobHB0eHw"] as const;

const plain = {
  ...{ name: "disk.img", size: 0, modified: undefined, samples: new Uint8Array(0), incarnation: "a" },
  ...{ proof: undefined, changed: undefined },
};

const texts = [
  introduceQuery({ challenge: WORDS[0], nonce: WORDS[1], wait: 300 }),
  keyQuery(WORDS[0]),
  introducedContext(plain),
  introducedContext({
    ...{ name: "é\ud800", size: 1 << 20, modified: -1, samples: new Uint8Array(16), incarnation: WORDS[1] },
    ...{ proof: proofOf(WORDS[0], WORDS[1]), changed: "it grew" },
  }),
];

export const introductionSeeds = texts.map((text) => new TextEncoder().encode(text));

export const introductionWords = [
  ...[
    '"version":1',
    '"name":',
    '"size":',
    '"modified":',
    '"samples":',
    '"incarnation":',
    '"proof":',
    '"changed":',
  ],
  ...[
    "nbd-proxy:",
    "introduce=1,",
    "introduced=",
    "key=",
    "null",
    "true",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\\\\ud800",
  ],
  ...WORDS,
];
