import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { hex, sequence } from "../bytes.ts";

const tests = suite("memory export");

tests("what is read is a copy, which later writes do not change", async () => {
  const bytes = sequence(10);
  const target = memoryExport(bytes);
  const before = await target.read(2, 3);
  await target.write!(2, hex("aabbcc"));
  await target.flush!();
  assert.equal(before, sequence(3, 2));
  assert.equal(
    await target.read(1, 5),
    new Uint8Array([...sequence(1, 1), 0xaa, 0xbb, 0xcc, ...sequence(1, 5)]),
  );
  assert.equal(bytes.slice(2, 5), hex("aabbcc"));
  await target.close();
});

tests("read-only has neither write nor flush", () => {
  const target = memoryExport(sequence(10), { readOnly: true });
  assert.is(target.size, 10);
  assert.is(target.write, undefined);
  assert.is(target.flush, undefined);
});

tests("TRIM and WRITE_ZEROES clear the range", async () => {
  const bytes = sequence(10);
  const target = memoryExport(bytes);
  await target.trim!(1, 2);
  await target.writeZeroes!(5, 3);
  const expected = sequence(10);
  expected.fill(0, 1, 3).fill(0, 5, 8);
  assert.equal(bytes, expected);
});

tests.run();
