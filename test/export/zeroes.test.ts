import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../src/export/error.ts";
import { memoryExport } from "../../src/export/memory.ts";
import { type WritableExport, writeZeroesPiecewise } from "../../src/export/zeroes.ts";
import { failure, sequence } from "../bytes.ts";

const tests = suite("zeroes that are written");

tests("they are where they belong, and nowhere else", async () => {
  const bytes = sequence(600_000);
  await writeZeroesPiecewise(memoryExport(bytes) as WritableExport, 7, 524_288);
  const expected = sequence(600_000);
  expected.fill(0, 7, 7 + 524_288);
  assert.equal(bytes, expected);
});

tests("never fast", async () => {
  const bytes = sequence(10);
  const error = await failure(
    writeZeroesPiecewise(memoryExport(bytes) as WritableExport, 0, 10, { fast: true }),
  );
  assert.is((error as ExportError).errno, Errno.ENOTSUP);
  assert.equal(bytes, sequence(10));
});

tests("a piece that fails is the last one, and a signal ends it between two", async () => {
  let pieces = 0;
  const failing: WritableExport = {
    write: async () => {
      if (++pieces === 2) throw new ExportError(Errno.ENOSPC, "full");
    },
  };
  assert.is((await failure(writeZeroesPiecewise(failing, 0, 1 << 20))).message, "full");
  assert.is(pieces, 2);

  const abort = new AbortController();
  const reason = new Error("not needed any more");
  const ending: WritableExport = { write: async () => abort.abort(reason) };
  assert.is(await failure(writeZeroesPiecewise(ending, 0, 1 << 20, { signal: abort.signal })), reason);
});

tests("FUA is one flush behind them, where there is a flush", async () => {
  const calls: string[] = [];
  const target: WritableExport = {
    write: async (_offset, _data, options) => void calls.push(`write ${options?.fua ?? false}`),
    flush: async () => void calls.push("flush"),
  };
  await writeZeroesPiecewise(target, 0, 300_000, { fua: true });
  assert.equal(calls, ["write false", "write false", "flush"]);
  await writeZeroesPiecewise({ write: target.write }, 0, 1, { fua: true });
});

tests.run();
