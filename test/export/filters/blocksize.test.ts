import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Export, Extent } from "../../../src/export/export.ts";
import { blocksize } from "../../../src/export/filters/blocksize.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { type Deferred, deferred } from "../../../src/streams/deferred.ts";
import { lend } from "../../../src/streams/lent.ts";
import { failure, isPending, sequence, settled } from "../../bytes.ts";

const tests = suite("block sizes");

interface Sizes {
  minimum: number;
  maximum: number;
}

type Asked = [name: string, offset: number, length: number];

/** Extents of 700 bytes each, in turns: so they are not of whole blocks. */
function extentsOf(offset: number, length: number): Extent[] {
  const extents: Extent[] = [];
  for (let at = offset; at < offset + length; ) {
    const end = Math.min(offset + length, at - (at % 700) + 700);
    const hole = Math.floor(at / 700) % 2 === 1;
    extents.push({ length: end - at, hole, zero: hole });
    at = end;
  }
  return extents;
}

/** An export with block sizes, which fails what does not keep to them, and what it was asked for. */
function strict(bytes: Uint8Array, { minimum, maximum }: Sizes, maximumRange = Number.POSITIVE_INFINITY) {
  const memory = memoryExport(bytes);
  const { size } = memory;
  const asked: Asked[] = [];
  function note(name: string, offset: number, length: number, most: number, isAligned: boolean) {
    asked.push([name, offset, length]);
    if (length > most) throw new Error(`${name} of ${length} bytes, and ${most} is the most`);
    if (!isAligned || length === 0) return;
    const isWhole = offset % minimum === 0 && ((offset + length) % minimum === 0 || offset + length === size);
    if (!isWhole) throw new Error(`${name} of ${length} bytes at ${offset} is not of blocks of ${minimum}`);
  }
  const target: Export = {
    ...memory,
    blockSize: { minimum, preferred: Math.max(512, minimum), maximum },
    async read(offset, length) {
      note("read", offset, length, maximum, true);
      return memory.read(offset, length);
    },
    async write(offset, data) {
      note("write", offset, data.byteLength, maximum, false);
      await memory.write!(offset, data);
    },
    async trim(offset, length) {
      note("trim", offset, length, maximumRange, false);
      await memory.trim!(offset, length);
    },
    async writeZeroes(offset, length) {
      note("writeZeroes", offset, length, maximumRange, false);
      await memory.writeZeroes!(offset, length);
    },
    async cache(offset, length) {
      note("cache", offset, length, maximumRange, true);
    },
    async extents(offset, length) {
      note("extents", offset, length, Number.POSITIVE_INFINITY, true);
      return extentsOf(offset, length);
    },
    knownExtents(offset, length) {
      note("knownExtents", offset, length, Number.POSITIVE_INFINITY, true);
      return extentsOf(offset, length);
    },
  };
  return { target, asked };
}

/** The sizes of an export and a range within it. */
const situation = fc
  .record({
    size: fc.integer({ min: 1, max: 20_000 }),
    minimum: fc.integer({ min: 0, max: 12 }).map((power) => 2 ** power),
    more: fc.nat(5000),
    longest: fc.integer({ min: 1, max: 9000 }),
    longestRange: fc.integer({ min: 1, max: 9000 }),
  })
  .chain((sizes) =>
    fc.record({ offset: fc.nat(sizes.size - 1) }).chain(({ offset }) =>
      fc.record({
        sizes: fc.constant(sizes),
        offset: fc.constant(offset),
        length: fc.integer({ min: 1, max: sizes.size - offset }),
      }),
    ),
  );

/** The filter over an export of which all bytes are known. */
function filtered({
  size,
  minimum,
  more,
  longest,
  longestRange,
}: {
  size: number;
  minimum: number;
  more: number;
  longest: number;
  longestRange: number;
}) {
  const bytes = sequence(size);
  const most = Math.max(minimum, longestRange - (longestRange % minimum));
  const { target, asked } = strict(bytes, { minimum, maximum: minimum + more }, most);
  return { bytes, asked, next: target, target: blocksize({ longest, longestRange })(target) };
}

tests("any range is read, whatever the sizes", async () => {
  await fc.assert(
    fc.asyncProperty(situation, async ({ sizes, offset, length }) => {
      const { target, asked } = filtered(sizes);
      assert.equal(await target.read(offset, length), sequence(length, offset));
      const most = Math.max(sizes.minimum, sizes.longest);
      assert.ok(
        asked.every(([, , length]) => length <= most),
        "no read is longer than the longest",
      );
      // No more than the blocks around the range, and each byte once.
      const bytes = asked.reduce((sum, [, , length]) => sum + length, 0);
      assert.ok(bytes < length + 2 * sizes.minimum, `${bytes} bytes for ${length}`);
    }),
    { numRuns: 500 },
  );
});

tests("any range is changed, to its last byte and no further", async () => {
  await fc.assert(
    fc.asyncProperty(
      situation,
      fc.constantFrom("write", "trim", "writeZeroes"),
      async ({ sizes, offset, length }, way) => {
        const { target, bytes } = filtered(sizes);
        const expected = sequence(sizes.size);
        const data = sequence(length, 99);
        if (way === "write") await target.write!(offset, data);
        else await target[way as "trim" | "writeZeroes"]!(offset, length);
        expected.set(way === "write" ? data : new Uint8Array(length), offset);
        assert.equal(bytes, expected);
      },
    ),
    { numRuns: 500 },
  );
});

tests("extents are those of the range, and a hint to the cache is of the blocks around it", async () => {
  await fc.assert(
    fc.asyncProperty(situation, async ({ sizes, offset, length }) => {
      const { target, asked } = filtered(sizes);
      const expected = extentsOf(offset, length);
      assert.equal(await target.extents!(offset, length), expected);
      assert.equal(await target.knownExtents!(offset, length), expected);
      asked.length = 0;
      await target.cache!(offset, length);
      const from = Math.min(...asked.map(([, offset]) => offset));
      const to = Math.max(...asked.map(([, offset, length]) => offset + length));
      assert.is(from, offset - (offset % sizes.minimum));
      assert.is(to, Math.min(Math.ceil((offset + length) / sizes.minimum) * sizes.minimum, sizes.size));
    }),
    { numRuns: 500 },
  );
});

tests("extents that end before the range begins tell nothing of it: it counts as data", async () => {
  const { target: next } = strict(sequence(4096), { minimum: 1024, maximum: 4096 });
  const short = { ...next, extents: async () => [{ length: 100, hole: true, zero: true }] };
  const extents = await blocksize()(short).extents!(1100, 50);
  assert.equal(extents, [{ length: 24, hole: true, zero: true }]);
  assert.equal(await blocksize()(short).extents!(1200, 50), [{ length: 50, hole: false, zero: false }]);
});

tests("what needs neither is passed on as it is: the same promise, data, and options", () => {
  const calls: unknown[][] = [];
  const promise = new Promise<never>(() => {});
  const take =
    () =>
    (...call: unknown[]) => {
      calls.push(call);
      return promise;
    };
  const next = {
    ...memoryExport(sequence(4096)),
    blockSize: { minimum: 512, preferred: 512, maximum: 1024 },
    read: take(),
    write: take(),
    trim: take(),
    cache: take(),
  };
  const target = blocksize({ longestRange: 1024 })(next);
  const options = {};
  const data = new Uint8Array(700);
  assert.is(target.read(512, 1024, options), promise);
  assert.is(target.write!(5, data, options), promise);
  assert.is(target.trim!(5, 700, options), promise);
  assert.is(target.cache!(512, 512, options), promise);
  assert.is(calls[0]![2], options);
  assert.is(calls[1]![1], data);
  assert.is(calls[1]![2], options);
  assert.equal(
    calls.map(([offset, range]) => [offset, range]),
    [
      [512, 1024],
      [5, data],
      [5, 700],
      [512, 512],
    ],
  );
});

tests("what the filter tells: any length; a minimum only where it can be written to", () => {
  const { target } = strict(sequence(4096), { minimum: 1024, maximum: 2048 });
  assert.equal(blocksize()(target).blockSize, { minimum: 1024, preferred: 1024, maximum: 0xffffffff });
  const { write: _, ...readOnly } = target;
  assert.equal(blocksize()(readOnly).blockSize, { minimum: 1, preferred: 1024, maximum: 0xffffffff });
  assert.is(blocksize({ longest: 100 })(memoryExport(sequence(10))).blockSize, undefined);
});

tests("a long request has 8 pieces in flight, and begins no more once one has failed", async () => {
  const reason = new Error("a bad sector");
  const pieces: { offset: number; settle: Deferred<void> }[] = [];
  const next: Export = {
    ...memoryExport(new Uint8Array(1000)),
    async write(offset) {
      const settle = deferred();
      pieces.push({ offset, settle });
      await settle.promise;
    },
  };
  const written = blocksize({ longest: 10 })(next).write!(0, new Uint8Array(200));
  written.catch(() => {});
  await settled();
  assert.is(pieces.length, 8);
  pieces[0]!.settle.resolve();
  await settled();
  assert.is(pieces.length, 9);
  pieces[3]!.settle.reject(reason);
  await settled();
  pieces[1]!.settle.resolve();
  await settled();
  assert.is(pieces.length, 9);
  assert.ok(await isPending(written), "the data is lent until the last piece has settled");
  for (const { settle } of pieces) settle.resolve();
  assert.is(await failure(written), reason);
});

tests("bytes that were lent for a piece are given back once they are copied", async () => {
  let out = 0;
  const memory = memoryExport(sequence(1000));
  const next: Export = {
    ...memory,
    async read(offset, length) {
      out++;
      return lend(await memory.read(offset, length), () => {
        out--;
      });
    },
  };
  assert.equal(await blocksize({ longest: 100 })(next).read(50, 900), sequence(900, 50));
  assert.is(out, 0);
});

tests(
  "an export that gives another number of bytes than it was asked for: RangeError, not zeroes",
  async () => {
    const memory = memoryExport(sequence(4096));
    const next: Export = {
      ...memory,
      blockSize: { minimum: 512, preferred: 512, maximum: 1024 },
      read: (offset, length) => memory.read(offset, length - 1),
    };
    for (const [offset, length] of [
      [0, 4096],
      [100, 100],
    ] as const) {
      assert.instance(await failure(blocksize()(next).read(offset, length)), RangeError);
    }
  },
);

tests("limits that make no sense are refused", () => {
  for (const longest of [0, -1, Number.NaN]) {
    assert.throws(() => blocksize({ longest }), RangeError);
    assert.throws(() => blocksize({ longestRange: longest }), RangeError);
  }
});

tests.run();
