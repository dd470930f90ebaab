import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import { forward } from "../../../src/export/filters/forward.ts";
import { changes, type Statistics, statistics } from "../../../src/export/filters/statistics.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { failure, hex, sequence } from "../../bytes.ts";

const tests = suite("statistics and forward");

tests("what succeeds is counted, what fails is not", async () => {
  const counts = { reads: 0, bytesRead: 0, writes: 0, bytesWritten: 0 };
  const target = statistics(counts)(memoryExport(sequence(10)));
  assert.equal(await target.read(1, 4), sequence(4, 1));
  await target.read(0, 3);
  await target.write!(0, hex("aabb"));
  assert.equal(counts, { reads: 2, bytesRead: 7, writes: 1, bytesWritten: 2 });
  const reason = new Error("broken");
  const failing = statistics(counts)({
    ...memoryExport(sequence(10)),
    read: () => Promise.reject(reason),
    write: () => Promise.reject(reason),
  });
  assert.is(await failure(failing.read(0, 1)), reason);
  assert.is(await failure(failing.write!(0, hex("aa"))), reason);
  assert.equal(counts, { reads: 2, bytesRead: 7, writes: 1, bytesWritten: 2 });
});

tests("trims, zeroes and flushes are counted, and are changes as writes are", async () => {
  const counts: Statistics = { reads: 0, bytesRead: 0, writes: 0, bytesWritten: 0 };
  const target = statistics(counts)(memoryExport(sequence(10)));
  await target.read(0, 1);
  assert.is(changes(counts), 0);
  await target.write!(0, hex("aa"));
  await target.trim!(1, 1);
  await target.writeZeroes!(2, 2, { fua: true });
  await target.writeZeroes!(3, 1);
  await target.flush!();
  const { trims, zeroes, flushes } = counts;
  assert.equal({ trims, zeroes, flushes }, { trims: 1, zeroes: 2, flushes: 1 });
  assert.is(changes(counts), 5);
  const reason = new Error("broken");
  const no = () => Promise.reject(reason);
  const failing = statistics(counts)({ ...memoryExport(sequence(10)), trim: no, writeZeroes: no, flush: no });
  for (const call of [failing.trim!(0, 1), failing.writeZeroes!(0, 1), failing.flush!()])
    assert.is(await failure(call), reason);
  assert.is(changes(counts), 5);
});

tests("a read-only export stays one", () => {
  const counts = { reads: 0, bytesRead: 0, writes: 0, bytesWritten: 0 };
  const target = statistics(counts)(memoryExport(sequence(10), { readOnly: true }));
  assert.is(target.write, undefined);
  assert.is(target.flush, undefined);
  assert.is(target.size, 10);
});

tests("forward passes on every call, with its options and its this", async () => {
  const calls: unknown[] = [];
  const blockSize = { minimum: 1, preferred: 4096, maximum: 65536 };
  class Own implements Export {
    readonly size = 10;
    readonly blockSize = blockSize;
    readonly #calls = calls;
    async read(...args: unknown[]) {
      this.#calls.push(["read", ...args]);
      return sequence(1);
    }
    async write(...args: unknown[]) {
      this.#calls.push(["write", ...args]);
    }
    async flush() {
      this.#calls.push(["flush"]);
    }
    async close() {
      this.#calls.push(["close"]);
    }
  }
  const target = forward(new Own());
  const { signal } = new AbortController();
  await target.read(1, 2, { signal });
  await target.write!(3, hex("aa"), { fua: true });
  await target.flush!();
  await target.close();
  assert.equal(target.blockSize, blockSize);
  assert.is(target.size, 10);
  assert.equal(calls, [
    ["read", 1, 2, { signal }],
    ["write", 3, hex("aa"), { fua: true }],
    ["flush"],
    ["close"],
  ]);
});

tests.run();
