/** Each input that the fuzzer has found, and was mended, once more: fixtures/hostile, in chunks of several sizes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { concat } from "../../src/streams/concat.ts";
import { VARIANTS, writeInput } from "../fuzz/input.ts";
import { targets } from "../fuzz/seeds.ts";
import { readFixtures } from "./recordings.ts";

const tests = suite("finds of the fuzzer");

const chunkSizes = [0, 1, 2, 3, 7, 28, 63];

tests("every fixture is of a target that there is", () => {
  for (const { name } of readFixtures("hostile")) {
    assert.ok(
      Object.keys(targets).some((target) => name.startsWith(`${target}-`)),
      name,
    );
  }
});

for (const target of Object.keys(targets)) {
  tests(`${target}: a named end for each, and for no bytes at all`, async () => {
    const { fuzz } = (await import(`../fuzz/targets/${target}.ts`)) as {
      fuzz(input: Uint8Array): Promise<void>;
    };
    await fuzz(new Uint8Array(0));
    for (const { name, conversation } of readFixtures("hostile")) {
      if (!name.startsWith(`${target}-`)) continue;
      const bytes = concat(conversation.map((message) => message.bytes));
      for (const size of chunkSizes) {
        for (const variant of VARIANTS) await fuzz(writeInput(bytes, variant, size));
      }
    }
  });
}

tests.run();
