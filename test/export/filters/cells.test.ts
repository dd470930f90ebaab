/** What tells, cell by cell, how often an image was read, how much of it was met, and what of it lies in a cache. */
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Cache } from "../../../src/export/filters/cache.ts";
import { cachedCells } from "../../../src/export/filters/cached-cells.ts";
import { cellSizeFor, MOST_CELLS } from "../../../src/export/filters/cells.ts";
import { Coverage } from "../../../src/export/filters/coverage.ts";
import { Frequency } from "../../../src/export/filters/frequency.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { sequence } from "../../bytes.ts";

const tests = suite("cells");

/** A small image, how many cells it may have, and ranges of it. */
const ranged = fc.integer({ min: 1, max: 20_000 }).chain((size) =>
  fc.record({
    size: fc.constant(size),
    most: fc.integer({ min: 1, max: 50 }),
    ranges: fc.array(fc.tuple(fc.nat(size - 1), fc.nat(size)), { maxLength: 20 }),
  }),
);

/** How often each byte is met. */
function counts(size: number, ranges: readonly (readonly [number, number])[]): number[] {
  const bytes: number[] = Array(size).fill(0);
  for (const [offset, length] of ranges) {
    for (let at = offset; at < Math.min(size, offset + length); at++) bytes[at]!++;
  }
  return bytes;
}

tests("cells are powers of two, no larger than they have to be", () => {
  assert.is(cellSizeFor(0, 1), 512);
  assert.is(cellSizeFor(512 * 4096, 4096), 512);
  assert.is(cellSizeFor(512 * 4096 + 1, 4096), 1024);
  assert.is(cellSizeFor(2 ** 41, MOST_CELLS), 2 ** 25);
});

tests("how often each cell was met is the mean of its bytes, for any ranges", () => {
  fc.assert(
    fc.property(ranged, ({ size, most, ranges }) => {
      const frequency = new Frequency(size, most);
      for (const [offset, length] of ranges) frequency.mark(offset, length);
      const bytes = counts(size, ranges);
      assert.is(frequency.cells, Math.ceil(size / frequency.cellSize));
      assert.ok(frequency.cells <= most);
      for (let cell = 0; cell < frequency.cells; cell++) {
        const part = bytes.slice(cell * frequency.cellSize, (cell + 1) * frequency.cellSize);
        assert.is(frequency.timesOf(cell), part.reduce((a, b) => a + b, 0) / part.length);
      }
    }),
  );
});

tests("of 2 TB too: a read meets one cell, the image as a whole meets all", () => {
  const size = 2 ** 41;
  const frequency = new Frequency(size, 4096);
  frequency.mark(size - 4096, 4096);
  assert.is(frequency.cells, 4096);
  assert.is(frequency.timesOf(4095), 4096 / frequency.cellSize);
  assert.is(frequency.timesOf(4094), 0);
  frequency.mark(0, size);
  assert.is(frequency.timesOf(0), 1);
});

tests("how much of each cell was met agrees with the blocks that were", () => {
  fc.assert(
    fc.property(ranged, ({ size, most, ranges }) => {
      const coverage = new Coverage();
      coverage.fit(size);
      for (const [offset, length] of ranges) coverage.mark(offset, length);
      const cellSize = cellSizeFor(size, most);
      const blocks = cellSize / 512;
      const bytes = counts(size, ranges);
      const met = Array.from({ length: Math.ceil(size / 512) }, (_, block) =>
        bytes.slice(block * 512, (block + 1) * 512).some((times) => times > 0),
      );
      coverage.levels(cellSize).forEach((level, cell) => {
        const part = met.slice(cell * blocks, (cell + 1) * blocks);
        const share = part.filter(Boolean).length / part.length;
        assert.is(level === 0, share === 0);
        assert.is(level === 255, share === 1);
        assert.ok(Math.abs(level - 255 * share) <= 2, `${level} of 255 for ${share}`);
      });
    }),
  );
});

tests("what lies in a cache is told, and what was pushed out of it is not", async () => {
  const cache = new Cache(memoryExport(sequence(10_000)), { budget: 8192 });
  const levels = () => [...cachedCells(cache, 2048)];
  assert.equal(levels(), [0, 0, 0, 0, 0]);
  await cache.export.read(2048, 512);
  await cache.export.read(8192, 1808);
  assert.equal(levels(), [0, 64, 0, 0, 255]);
  await cache.export.read(2560, 1536);
  assert.equal(levels(), [0, 255, 0, 0, 255]);
  for (const at of [0, 4096, 6144, 1024]) await cache.export.read(at, 1024);
  assert.is(
    levels()[1],
    Math.ceil((254 * 1536) / 2048),
    "the 512 bytes that were used longest ago have made room",
  );
});

tests.run();
