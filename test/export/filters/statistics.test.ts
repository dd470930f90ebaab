import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import type { FailedRequest } from "../../../src/export/failed-request.ts";
import { forward } from "../../../src/export/filters/forward.ts";
import { LATENCY_BOUNDS } from "../../../src/export/filters/latency.ts";
import { type Operation, Statistics, statistics } from "../../../src/export/filters/statistics.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { failure, hex, sequence } from "../../bytes.ts";

const tests = suite("statistics and forward");
const broken = new Error("broken");
const fails = () => Promise.reject(broken);

/** An export that can do everything. */
function disk(changes: Partial<Export> = {}): Export {
  const all = {
    cache: async () => {},
    extents: async (_offset: number, length: number) => [{ length, hole: false, zero: false }],
    knownExtents: (_offset: number, length: number) => [{ length, hole: false, zero: false }],
  };
  return { ...memoryExport(sequence(4096)), ...all, ...changes };
}

/** The numbers of an operation without its latency. */
function numbers(counts: Statistics, operation: Operation) {
  const { count, bytes, errors, outstanding } = counts.of(operation);
  return { count, bytes, errors, outstanding };
}

/** Each operation, with how it is called on the range of 100 bytes at 1000. */
const calls: Record<Operation, (target: Export, signal?: AbortSignal) => Promise<unknown>> = {
  read: (target, signal) => target.read(1000, 100, signal && { signal }),
  write: (target, signal) => target.write!(1000, new Uint8Array(100), signal && { signal }),
  flush: (target) => target.flush!(),
  trim: (target, signal) => target.trim!(1000, 100, signal && { signal }),
  writeZeroes: (target, signal) => target.writeZeroes!(1000, 100, signal && { signal }),
  cache: (target, signal) => target.cache!(1000, 100, signal && { signal }),
  extents: (target, signal) => target.extents!(1000, 100, signal && { signal }),
};
const commands: Partial<Record<Operation, string>> = {
  read: "READ",
  write: "WRITE",
  flush: "FLUSH",
  trim: "TRIM",
  writeZeroes: "WRITE_ZEROES",
};

for (const [name, call] of Object.entries(calls)) {
  const operation = name as Operation;
  const length = operation === "flush" ? 0 : 100;

  tests(`${operation}: what succeeds, what fails and what is outstanding`, async () => {
    let time = 0;
    const counts = new Statistics({ now: () => time });
    const told: [Error, FailedRequest][] = [];
    const ends = [deferred<never>(), deferred<never>(), deferred<never>()];
    let next = 0;
    const target = statistics(counts, (error, request) => told.push([error, request]))(
      disk({ [operation]: () => ends[next++]!.promise }),
    );
    const all = ends.map(() => call(target));
    assert.equal(numbers(counts, operation), { count: 0, bytes: 0, errors: 0, outstanding: 3 });
    time = 3;
    ends[0]!.resolve(undefined as never);
    await all[0];
    assert.equal(numbers(counts, operation), { count: 1, bytes: length, errors: 0, outstanding: 2 });
    time = 40_000;
    ends[1]!.reject(broken);
    assert.is(await failure(all[1]!), broken);
    assert.equal(numbers(counts, operation), { count: 1, bytes: length, errors: 1, outstanding: 1 });
    ends[2]!.resolve(undefined as never);
    await all[2];
    assert.equal(numbers(counts, operation), { count: 2, bytes: 2 * length, errors: 1, outstanding: 0 });

    const { latency } = counts.snapshot().operations[operation];
    assert.is(latency.sum, 80.003);
    const buckets = LATENCY_BOUNDS.map((bound) => (bound === 0.005 ? 1 : 0));
    assert.equal(latency.buckets, [...buckets, 2]);
    const command = commands[operation];
    const offset = operation === "flush" ? 0 : 1000;
    assert.equal(told, command ? [[broken, { command, offset, length }]] : []);
    for (const other of Object.keys(calls) as Operation[]) {
      if (other !== operation) assert.is(counts.of(other).count, 0, other);
    }
  });

  tests(`${operation}: it is passed on as it is, and absent where the next export cannot do it`, async () => {
    if (operation === "read") return;
    const given: unknown[] = [];
    const target = statistics(new Statistics())(
      disk({ [operation]: async (...args: unknown[]) => void given.push(args) }),
    );
    const { signal } = new AbortController();
    await call(target, signal);
    const data = operation === "write" ? new Uint8Array(100) : 100;
    assert.equal(given, [operation === "flush" ? [] : [1000, data, { signal }]]);
    const { [operation]: _, ...without } = disk();
    assert.is(statistics(new Statistics())(without as Export)[operation], undefined);
  });
}

tests("a call that was given up is no error", async () => {
  const counts = new Statistics();
  const ending = new AbortController();
  const target = statistics(counts)(
    disk({
      read: (_offset, _length, { signal } = {}) =>
        new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason))),
    }),
  );
  const reading = calls.read(target, ending.signal);
  assert.is(counts.of("read").outstanding, 1);
  ending.abort();
  await failure(reading);
  assert.equal(numbers(counts, "read"), { count: 0, bytes: 0, errors: 0, outstanding: 0 });
  assert.is(counts.snapshot().operations.read.latency.sum, 0);
});

tests("writes, trims, zeroes and flushes that succeed are changes", async () => {
  const counts = new Statistics();
  const target = statistics(counts)(disk());
  await target.read(0, 1);
  await target.cache!(0, 1);
  await target.extents!(0, 1);
  assert.is(counts.changes, 0);
  await target.write!(0, hex("aa"));
  await target.trim!(1, 1);
  await target.writeZeroes!(2, 2, { fua: true });
  await target.writeZeroes!(3, 1);
  await target.flush!();
  assert.is(counts.changes, 5);
  const failing = statistics(counts)(disk({ trim: fails, writeZeroes: fails, flush: fails, write: fails }));
  for (const call of [
    failing.trim!(0, 1),
    failing.writeZeroes!(0, 1),
    failing.flush!(),
    calls.write(failing),
  ])
    assert.is(await failure(call), broken);
  assert.is(counts.changes, 5);
});

tests(
  "what was read, and what was written, trimmed or made zeroes, is covered; what failed is not",
  async () => {
    const counts = new Statistics();
    const target = statistics(counts)(disk());
    const covered = () => {
      const { read, written } = counts.snapshot(8).coverage;
      return [read.cells, written.cells];
    };
    const [none, all] = [0, 100];
    await target.read(600, 100);
    await target.write!(0, hex("aa"));
    await target.trim!(1024, 512);
    await target.writeZeroes!(4095, 1);
    await target.cache!(0, 4096);
    await target.extents!(0, 4096);
    await failure(calls.read(statistics(counts)(disk({ read: fails }))));
    assert.equal(covered(), [
      [none, all, none, none, none, none, none, none],
      [all, none, all, none, none, none, none, all],
    ]);
    // A second, larger export is counted in the same numbers, in larger blocks.
    const larger = { size: 2 ** 26, read: async () => new Uint8Array(1), close: async () => {} };
    await statistics(counts)(larger).read(larger.size - 1, 1);
    const { read } = counts.snapshot().coverage;
    assert.equal(read, { blockSize: 1024, bytesCovered: 2048, fraction: 2 ** -15, cells: [] });
    assert.is(counts.of("read").count, 2);
  },
);

tests("a snapshot is plain data", async () => {
  const counts = new Statistics();
  const target = statistics(counts)(disk());
  await Promise.all(Object.values(calls).map((call) => call(target)));
  const snapshot = counts.snapshot(10);
  assert.equal(JSON.parse(JSON.stringify(snapshot)), snapshot);
  await calls.read(target);
  assert.is(snapshot.operations.read.count, 1, "it does not change");
});

tests("whatever calls take, each is in one bucket, between its bounds", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.double({ min: 0, max: 100_000, noNaN: true })), async (times) => {
      let time = 0;
      const counts = new Statistics({ now: () => time });
      let took = 0;
      const read = async () => {
        time += took;
        return new Uint8Array(1);
      };
      const target = statistics(counts)(disk({ read }));
      for (const milliseconds of times) {
        took = milliseconds;
        time = 0;
        await target.read(0, 1);
      }
      const { latency, count } = counts.snapshot().operations.read;
      assert.is(count, times.length);
      const expected = [...LATENCY_BOUNDS, Number.POSITIVE_INFINITY].map(
        (bound, index) =>
          times.filter(
            (each) => each / 1000 <= bound && (index === 0 || each / 1000 > LATENCY_BOUNDS[index - 1]!),
          ).length,
      );
      assert.equal(latency.buckets, expected);
    }),
  );
});

tests("a read-only export stays one", () => {
  const target = statistics(new Statistics())(memoryExport(sequence(10), { readOnly: true }));
  assert.is(target.write, undefined);
  assert.is(target.flush, undefined);
  assert.is(target.size, 10);
  assert.type(statistics(new Statistics())(disk()).knownExtents, "function");
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
