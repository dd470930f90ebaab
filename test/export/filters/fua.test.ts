import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import { fua } from "../../../src/export/filters/fua.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { failure, isPending, sequence, settled } from "../../bytes.ts";

const tests = suite("FUA by a flush");

/** An export without FUA whose changes are lost unless a flush comes after them. */
function volatile(size: number) {
  const stable = new Uint8Array(size);
  const memory = memoryExport(new Uint8Array(size));
  const refuse = (options?: { fua?: boolean }) => {
    if (options?.fua) throw new Error("it was asked for FUA");
  };
  const seen: string[] = [];
  const target: Export = {
    ...memory,
    async write(offset, data, options) {
      refuse(options);
      seen.push("write");
      await memory.write!(offset, data);
    },
    async trim(offset, length, options) {
      refuse(options);
      seen.push("trim");
      await memory.trim!(offset, length);
    },
    async writeZeroes(offset, length, options) {
      refuse(options);
      seen.push(`zeroes ${options?.noHole ?? false}`);
      await memory.writeZeroes!(offset, length);
    },
    async flush() {
      seen.push("flush");
      stable.set(await memory.read(0, size));
    },
  };
  return { target, stable, seen };
}

tests("whatever was changed with FUA is on stable storage when it settles", async () => {
  const step = fc.record({
    way: fc.constantFrom("write" as const, "trim" as const, "writeZeroes" as const),
    offset: fc.nat(63),
    length: fc.integer({ min: 1, max: 64 }),
    fua: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const { target, stable } = volatile(128);
      const model = new Uint8Array(128);
      const filtered = fua(target);
      for (const [i, { way, offset, length, fua }] of steps.entries()) {
        const data = way === "write" ? sequence(length, i) : new Uint8Array(length);
        if (way === "write") await filtered.write!(offset, data, { fua });
        else await filtered[way]!(offset, length, { fua });
        model.set(data, offset);
        if (fua) assert.equal(stable, model);
      }
    }),
    { numRuns: 200 },
  );
});

tests("without FUA nothing is flushed; other options go on", async () => {
  const { target, seen } = volatile(16);
  const filtered = fua(target);
  await filtered.write!(0, sequence(4));
  await filtered.trim!(0, 4, { fua: false });
  await filtered.writeZeroes!(0, 4, { noHole: true });
  assert.equal(seen, ["write", "trim", "zeroes true"]);
  await filtered.writeZeroes!(0, 4, { noHole: true, fua: true });
  assert.equal(seen.slice(3), ["zeroes true", "flush"]);
});

tests("the flush begins when the change has settled; a failure of either is the outcome", async () => {
  const { target, seen } = volatile(16);
  const written = deferred();
  const filtered = fua({ ...target, write: () => written.promise });
  const first = filtered.write!(0, sequence(4), { fua: true });
  await settled();
  assert.equal(seen, []);
  assert.ok(await isPending(first));
  written.resolve();
  await first;
  assert.equal(seen, ["flush"]);

  const reason = new Error("no space");
  const no = () => Promise.reject(reason);
  assert.is(await failure(fua({ ...target, trim: no }).trim!(0, 4, { fua: true })), reason);
  assert.equal(seen, ["flush"], "what failed is not flushed");
  assert.is(await failure(fua({ ...target, flush: no }).trim!(0, 4, { fua: true })), reason);
});

tests("where there is nothing to flush a change is all; a read-only export stays one", async () => {
  const { target, seen } = volatile(16);
  const { flush: _, ...direct } = target;
  await fua(direct).write!(0, sequence(4), { fua: true });
  assert.equal(seen, ["write"]);
  const readOnly = fua(memoryExport(sequence(4), { readOnly: true }));
  assert.is(readOnly.write, undefined);
  assert.is(readOnly.trim, undefined);
});

tests.run();
