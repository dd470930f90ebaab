import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../../src/index.ts";
import { lateFaults } from "../../../web/serving/late-faults.ts";
import { failure, isPending } from "../../bytes.ts";

/* A page that is left must not answer with the error of a file that goes with it. */
const tests = suite("late faults");

tests("a read that fails is answered later, with its own error; one that succeeds at once", async () => {
  const fault = new Error("gone");
  const memory = memoryExport(new Uint8Array([1, 2, 3]));
  const broken = lateFaults({ ...memory, read: () => Promise.reject(fault) });
  const read = broken.read(0, 1);
  assert.ok(await isPending(read));
  assert.is(await failure(read), fault);
  assert.not(await isPending(lateFaults(memory).read(0, 3)));
});

tests.run();
