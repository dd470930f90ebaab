/** Half a minute of fuzzing for each target, guided by coverage, two at a time; longer by hand: test/fuzz/run.ts. */
import * as assert from "uvu/assert";
import { needing, suite } from "../harness.ts";
import { fuzz, type Result } from "./fuzzer.ts";
import { isGlibcThere } from "./glibc.ts";
import { targets } from "./seeds.ts";

const SECONDS = 30;

const tests = suite("fuzzing");
const names = Object.keys(targets);
const UNPACKED = "libc6 of Debian 13 (unpacked by .ci/unpack-glibc)";
const test = needing(tests, isGlibcThere() ? [] : [UNPACKED]);

function expectNothing({ name, coverage, outcome, reason }: Result) {
  assert.is(outcome, "nothing found", `${name}: ${outcome}\n${reason}`);
  assert.ok(coverage > 100, `${name}: they reached ${coverage} edges of the code`);
}

for (let i = 0; i < names.length; i += 2) {
  const pair = names.slice(i, i + 2);
  test(`${pair.join(" and ")}: ${SECONDS} s find nothing`, async () => {
    const results = await Promise.all(pair.map((name) => fuzz(name, SECONDS)));
    results.forEach(expectNothing);
  });
}

tests.run();
