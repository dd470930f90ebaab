import fc from "fast-check";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../../src/export/error.ts";
import type { Export } from "../../../src/export/export.ts";
import { cache } from "../../../src/export/filters/cache.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { giveBack, lend } from "../../../src/streams/lent.ts";
import { MemoryBudget } from "../../../src/streams/memory-budget.ts";
import { failure, isPending, sequence } from "../../bytes.ts";
import { suite } from "../../harness.ts";
import { lending } from "../../lending.ts";

const tests = suite("cache");
const KIB = 1024;
const SIZE = 64 * KIB;

interface Held {
  offset: number;
  length: number;
  signal: AbortSignal | undefined;
  /** Answers with what is there now, or fails. */
  answer(error?: unknown): void;
}

/** An export in memory whose reads are answered when the test says so. */
function held(bytes = sequence(SIZE)): { target: Export; reads: Held[]; bytes: Uint8Array } {
  const reads: Held[] = [];
  const memory = memoryExport(bytes);
  const target: Export = {
    ...memory,
    read(offset, length, { signal } = {}) {
      const { promise, resolve, reject } = deferred<Uint8Array>();
      // The bytes as they are when it is asked: the worst that may happen with a write at the same time.
      const old = bytes.slice(offset, offset + length);
      signal?.addEventListener("abort", () => reject(signal.reason));
      reads.push({ offset, length, signal, answer: (error) => (error ? reject(error) : resolve(old)) });
      return promise;
    },
  };
  return { target, reads, bytes };
}

const asked = (reads: readonly Held[]) => reads.map(({ offset, length }) => [offset, length]);

/** Counts what is asked of an export that answers at once. */
function counted(next: Export): { target: Export; asked: [number, number][] } {
  const asked: [number, number][] = [];
  const target: Export = {
    ...next,
    read(offset, length, options) {
      asked.push([offset, length]);
      return next.read(offset, length, options);
    },
  };
  return { target, asked };
}

tests("what was read is not asked for again", async () => {
  const { target, asked } = counted(memoryExport(sequence(SIZE)));
  const cached = cache({ budget: SIZE })(target);
  assert.equal(await cached.read(4096, 4096), sequence(4096, 4096));
  assert.equal(await cached.read(4096, 4096), sequence(4096, 4096));
  assert.equal(await cached.read(5000, 100), sequence(100, 5000));
  assert.equal(asked, [[4096, 4096]]);
});

tests("only what is missing is asked for, in whole sectors", async () => {
  const { target, asked } = counted(memoryExport(sequence(SIZE - 100)));
  const cached = cache({ budget: SIZE * 2 })(target);
  await cached.read(4096, 4096);
  await cached.read(12288, 1024);
  assert.equal(await cached.read(2000, 14000), sequence(14000, 2000));
  assert.equal(await cached.read(SIZE - 700, 600), sequence(600, SIZE - 700));
  assert.equal(asked, [
    [4096, 4096],
    [12288, 1024],
    [1536, 2560],
    [8192, 4096],
    [13312, 3072],
    [SIZE - 1024, 924],
  ]);
});

tests("what one piece has is not copied, whether it was there or is waited for", async () => {
  const { target, reads } = held();
  const cached = cache({ budget: SIZE })(target);
  const waiting = cached.read(0, 4096);
  reads[0]!.answer();
  const first = await waiting;
  const second = await cached.read(512, 1024);
  assert.is(second.buffer, first.buffer);
  assert.equal([first.byteLength, second.byteOffset, second.byteLength], [4096, 512, 1024]);
});

tests("reads at the same time share what is on its way: no byte is asked for twice", async () => {
  const { target, reads } = held();
  const cached = cache({ budget: SIZE })(target);
  const all = [cached.read(0, 4096), cached.read(2048, 4096), cached.read(0, 8192), cached.cache!(0, 8192)];
  assert.equal(asked(reads), [
    [0, 4096],
    [4096, 2048],
    [6144, 2048],
  ]);
  for (const read of reads) read.answer();
  assert.equal(await Promise.all(all), [sequence(4096), sequence(4096, 2048), sequence(8192), undefined]);
});

tests("what is brought in need not be asked for again", async () => {
  const { target, asked } = counted(memoryExport(sequence(SIZE)));
  const cached = cache({ budget: SIZE * 4 })(target);
  await cached.cache!(0, 8192);
  await cached.cache!(0, 8192);
  assert.equal(await cached.read(100, 8000), sequence(8000, 100));
  assert.equal(asked, [[0, 8192]]);
});

tests("what others asked for in vain is asked for again by those who need it", async () => {
  const { target, reads } = held();
  const cached = cache({ budget: SIZE })(target);
  const broken = new ExportError(Errno.EIO, "broken");
  const hint = cached.cache!(0, 8192);
  const first = cached.read(1024, 512);
  const second = cached.read(4096, 1024);
  reads[0]!.answer(broken);
  assert.is(await failure(hint), broken);
  assert.is(await isPending(first), true);
  assert.equal(asked(reads.slice(1)), [
    [1024, 512],
    [4096, 1024],
  ]);
  reads[1]!.answer();
  reads[2]!.answer(broken);
  assert.equal(await first, sequence(512, 1024));
  assert.is(await failure(second), broken);
});

tests("a read's own failure is its failure, and nothing is kept of it", async () => {
  const { target, reads } = held();
  const cached = cache({ budget: SIZE })(target);
  const broken = new ExportError(Errno.EIO, "broken");
  const read = cached.read(0, 512);
  reads[0]!.answer(broken);
  assert.is(await failure(read), broken);
  const again = cached.read(0, 512);
  reads[1]!.answer();
  assert.equal(await again, sequence(512));
});

for (const [name, change] of [
  ["write", (target: Export) => target.write!(1024, new Uint8Array(512))],
  ["trim", (target: Export) => target.trim!(1024, 512)],
  ["zero", (target: Export) => target.writeZeroes!(1024, 512)],
] as const) {
  tests(`a read-ahead in flight never puts back what a ${name} has changed`, async () => {
    const { target, reads, bytes } = held();
    const zero = async (offset: number, length: number) => void bytes.fill(0, offset, offset + length);
    const done = deferred();
    const slow = async (offset: number, length: number) => {
      await zero(offset, length);
      await done.promise;
    };
    const cached = cache({ budget: SIZE })({
      ...target,
      write: (offset, data) => slow(offset, data.byteLength),
      trim: slow,
      writeZeroes: slow,
    });
    const before = cached.cache!(0, 4096);
    const changing = change(cached);
    const meanwhile = cached.cache!(0, 8192);
    assert.equal(asked(reads), [
      [0, 4096],
      [4096, 4096],
    ]);
    done.resolve();
    await changing;
    reads[0]!.answer();
    reads[1]!.answer();
    await Promise.all([before, meanwhile]);
    const after = cached.read(1024, 512);
    assert.is(reads.length, 3, "what was asked for before is not believed");
    reads[2]!.answer();
    assert.equal(await after, new Uint8Array(512));
  });
}

tests("what a change leaves of a piece is kept", async () => {
  const { target, asked } = counted(memoryExport(sequence(SIZE)));
  const cached = cache({ budget: SIZE })(target);
  await cached.read(0, 4096);
  await cached.write!(1000, new Uint8Array(100));
  const expected = sequence(4096);
  expected.fill(0, 1000, 1100);
  assert.equal(await cached.read(0, 4096), expected);
  assert.equal(asked, [
    [0, 4096],
    [512, 1024],
  ]);
});

tests("a change that fails may have changed something all the same", async () => {
  const broken = new ExportError(Errno.EIO, "broken");
  const memory = memoryExport(sequence(SIZE));
  const cached = cache({ budget: SIZE })({
    ...memory,
    async write(offset, data) {
      await memory.write!(offset, data.subarray(0, 1));
      throw broken;
    },
  });
  await cached.read(0, 512);
  assert.is(await failure(cached.write!(0, Uint8Array.of(255, 255))), broken);
  const expected = sequence(512);
  expected[0] = 255;
  assert.equal(await cached.read(0, 512), expected);
});

tests("the least recently used goes first, and the budget is kept", async () => {
  const { target, asked } = counted(memoryExport(sequence(SIZE)));
  // Four pieces of 1 KiB fit, of 256 bytes more each.
  const cached = cache({ budget: 5 * KIB })(target);
  for (const at of [0, 1, 2, 3]) await cached.read(at * KIB, KIB);
  await cached.read(0, KIB);
  await cached.read(4 * KIB, KIB);
  assert.is(asked.length, 5);
  await cached.read(0, KIB);
  assert.is(asked.length, 5, "it was used just before");
  await cached.read(KIB, KIB);
  assert.is(asked.length, 6, "it was used longest ago");
});

tests("where there is no room, reads go on, and nothing is brought in", async () => {
  const { target, reads } = held();
  const cached = cache({ budget: 8 * KIB })(target);
  const all = [0, 1, 2, 3, 4, 5, 6, 7].map((at) => cached.read(at * 2 * KIB, 2 * KIB));
  assert.is(reads.length, 8);
  await cached.cache!(32 * KIB, KIB);
  assert.is(reads.length, 8);
  for (const read of reads) read.answer();
  for (const [at, bytes] of (await Promise.all(all)).entries()) {
    assert.equal(bytes, sequence(2 * KIB, at * 2 * KIB));
  }
});

tests("a read that is a large part of the budget goes past it", async () => {
  const { target, asked } = counted(memoryExport(sequence(SIZE)));
  const cached = cache({ budget: 8 * KIB })(target);
  for (let i = 0; i < 2; i++) assert.equal(await cached.read(100, 4000), sequence(4000, 100));
  assert.equal(asked, [
    [100, 4000],
    [100, 4000],
  ]);
});

tests("an export with a block size is asked for whole blocks, and no more than its maximum", async () => {
  const { target, asked } = counted(memoryExport(sequence(SIZE)));
  const blockSize = { minimum: 4096, preferred: 4096, maximum: 8192 };
  const cached = cache({ budget: SIZE * 4 })({ ...target, blockSize });
  assert.equal(cached.blockSize, blockSize);
  await cached.cache!(4096, 20480);
  await cached.read(0, 8192);
  for (const [offset, length] of asked) {
    assert.is(offset % 4096, 0);
    assert.is(length % 4096, 0);
    assert.ok(length <= 8192);
  }
  assert.is(asked.length, 4);
});

tests("a signal gives a read up, and nobody else's", async () => {
  const { target, reads } = held();
  const cached = cache({ budget: SIZE })(target);
  const giving = new AbortController();
  const reason = new Error("given up");
  const given = cached.read(0, 512, { signal: giving.signal });
  const other = cached.read(0, 512);
  giving.abort(reason);
  assert.is(await failure(given), reason);
  assert.is(await failure(cached.read(0, 512, { signal: giving.signal })), reason);
  reads[0]!.answer();
  assert.equal(await other, sequence(512));
  assert.is(reads.length, 1);
});

tests("close() gives up what is on its way, and then closes the next export", async () => {
  const { target, reads } = held();
  let closed = 0;
  const cached = cache({ budget: SIZE })({
    ...target,
    async close() {
      closed++;
    },
  });
  const hint = cached.cache!(0, 512);
  await cached.close();
  assert.is((await failure(hint)).message, "the export was closed");
  assert.is(reads[0]!.signal!.aborted, true);
  assert.is(closed, 1);
  assert.is(((await failure(cached.read(0, 512))) as ExportError).errno, Errno.ESHUTDOWN);
  assert.is(((await failure(cached.cache!(0, 512))) as ExportError).errno, Errno.ESHUTDOWN);
});

tests("bytes that are too few are an error, not somebody's data", async () => {
  const cached = cache({ budget: SIZE })({ ...memoryExport(sequence(100)), size: SIZE });
  const error = await failure(cached.read(0, 512));
  assert.is(error.message, "read(0, 512) gave 100 bytes");
});

tests("a read-only export stays one", () => {
  const cached = cache({ budget: SIZE })(memoryExport(sequence(10), { readOnly: true }));
  assert.is(cached.write, undefined);
  assert.is(cached.trim, undefined);
  assert.is(cached.writeZeroes, undefined);
  assert.is(cached.flush, undefined);
});

tests("what was lent is given back once it is not kept and all parts of it were given back", async () => {
  const { target, out } = lending(sequence(SIZE));
  const cached = cache({ budget: 20 * KIB })(target);
  const first = await cached.read(0, 4 * KIB);
  const again = await cached.read(KIB, KIB);
  for (const at of [8, 16, 24, 32, 40]) giveBack(await cached.read(at * KIB, 4 * KIB));
  assert.equal(first, sequence(4 * KIB), "it was pushed out, and somebody has it still");
  const before = out.size;
  giveBack(first);
  assert.is(out.size, before);
  assert.equal(again, sequence(KIB, KIB));
  giveBack(again);
  assert.is(out.size, before - 1);
  await cached.close();
});

tests("a small part of lent memory is kept as a copy, and the rest given back at once", async () => {
  const large = new Uint8Array(SIZE).fill(7);
  let isBack = false;
  const part = lend(large.subarray(0, 4 * KIB), () => {
    isBack = true;
  });
  const target = { ...memoryExport(large), read: async () => part };
  const cached = cache({ budget: SIZE })(target);
  assert.equal(await cached.read(0, 4 * KIB), new Uint8Array(4 * KIB).fill(7));
  assert.ok(isBack);
  await cached.close();
});

tests("nobody is given bytes that others may overwrite, and no memory is kept from its owner", async () => {
  const step = fc.record({
    kind: fc.constantFrom("read", "read", "read", "bring", "write"),
    at: fc.nat(31),
    sectors: fc.integer({ min: 1, max: 8 }),
    holds: fc.nat(4),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(12), async (steps, sectors) => {
      // All bytes are the same, so that reads beside writes are right whichever comes first.
      const { target, out } = lending(new Uint8Array(32 * 512).fill(7));
      const cached = cache({ budget: sectors * 800 })(target);
      const turn = () => new Promise((resolve) => setImmediate(resolve));
      const running = steps.map(async ({ kind, at, sectors, holds }) => {
        for (let i = 0; i < at % 5; i++) await turn();
        const [offset, length] = [at * 512, Math.min(sectors, 32 - at) * 512];
        if (kind === "bring") return cached.cache!(offset, length);
        if (kind === "write") return cached.write!(offset, new Uint8Array(length).fill(7));
        const bytes = await cached.read(offset, length);
        for (let i = 0; i <= holds; i++) {
          assert.ok(bytes.byteLength === length && bytes.every((byte) => byte === 7));
          await turn();
        }
        giveBack(bytes);
      });
      await Promise.all(running);
      // A change of everything takes everything out.
      await cached.write!(0, new Uint8Array(32 * 512).fill(7));
      assert.is(out.size, 0);
      await cached.close();
    }),
    { numRuns: 300 },
  );
});

tests("caches that share memory take it from the one that was of no use for longest", async () => {
  const memory = new MemoryBudget(10 * KIB);
  const sources = [0, 1].map(() => counted(memoryExport(sequence(SIZE))));
  const cached = (index: number) => cache({ budget: 8 * KIB, memory })(sources[index]!.target);
  const [idle, busy] = [cached(0), cached(1)];
  for (const at of [0, 1, 2, 3, 4, 5]) await idle.read(at * KIB, KIB);
  for (const at of [0, 1, 2, 3, 4, 5]) await busy.read(at * KIB, KIB);
  assert.ok(memory.used <= 10 * KIB);
  for (const at of [0, 1, 2, 3, 4, 5]) await busy.read(at * KIB, KIB);
  assert.is(sources[1]!.asked.length, 6, "it has all of its own");
  await idle.read(5 * KIB, KIB);
  assert.is(sources[0]!.asked.length, 6, "what was left to the other is there still");
  await idle.read(0, KIB);
  assert.is(sources[0]!.asked.length, 7);
  await idle.close();
  await busy.close();
  assert.is(memory.used, 0);
});

tests("who reads now and then keeps all, who does not gives up all", async () => {
  const memory = new MemoryBudget(SIZE);
  const { target, asked } = counted(memoryExport(sequence(SIZE)));
  const cached = cache({ budget: SIZE, memory })(target);
  for (const at of [0, 1, 2]) await cached.read(at * KIB, KIB);
  memory.giveUpIdle();
  await cached.read(0, KIB);
  assert.is(memory.giveUpIdle(), 0);
  await cached.read(KIB, KIB);
  assert.is(asked.length, 3);
  memory.giveUpIdle();
  memory.giveUpIdle();
  assert.is(memory.used, 0);
  await cached.read(0, KIB);
  assert.is(asked.length, 4);
});

tests("what is on its way counts, and is given back however it ends", async () => {
  const memory = new MemoryBudget(SIZE);
  const { target, reads } = held();
  const cached = cache({ budget: SIZE, memory })(target);
  const reading = [0, 1, 2].map((at) => cached.read(at * KIB, KIB));
  const used = memory.used;
  assert.ok(used >= 3 * KIB);
  memory.giveUpIdle();
  memory.giveUpIdle();
  assert.is(memory.used, used);
  reads[0]!.answer(new Error("broken"));
  await failure(reading[0]!);
  await cached.write!(KIB, Uint8Array.of(1));
  reads[1]!.answer();
  await reading[1];
  const closing = cached.close();
  reads[2]!.answer();
  await Promise.all([closing, reading[2]]);
  assert.is(memory.used, 0);
});

tests.run();
