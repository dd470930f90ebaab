import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Coverage } from "../../../src/export/filters/coverage.ts";

const tests = suite("coverage");
const MOST = 65_536;

/** A size, and ranges of it. */
const ranged = fc
  .oneof(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }))
  .chain((size) => {
    const range = fc
      .tuple(fc.integer({ min: 0, max: size - 1 }), fc.integer({ min: 0, max: 1 << 20 }))
      .map(([offset, length]) => [offset, Math.min(length, size - offset)] as const);
    return fc.tuple(fc.constant(size), fc.array(range, { maxLength: 20 }));
  });

/** The blocks that ranges meet, and their bytes. */
function model(size: number, blockSize: number, ranges: readonly (readonly [number, number])[]) {
  const blocks = new Set<number>();
  for (const [offset, length] of ranges) {
    for (let at = Math.floor(offset / blockSize); at * blockSize < offset + length && length > 0; at++)
      blocks.add(at);
  }
  let bytes = 0;
  for (const block of blocks) bytes += Math.min(blockSize, size - block * blockSize);
  return { blocks, bytes };
}

tests("it matches a model, for any size", () => {
  fc.assert(
    fc.property(ranged, fc.nat(40), ([size, ranges], cells) => {
      const coverage = new Coverage();
      coverage.fit(size);
      for (const [offset, length] of ranges) coverage.mark(offset, length);
      const { blockSize } = coverage;
      assert.ok(blockSize === 512 || size / blockSize > MOST / 2, "no larger than it has to be");
      assert.ok(size / blockSize <= MOST);
      const { blocks, bytes } = model(size, blockSize, ranges);
      const snapshot = coverage.snapshot(cells);
      assert.is(snapshot.bytesCovered, bytes);
      assert.is(coverage.bytesCovered, bytes);
      assert.is(snapshot.fraction, bytes / size);

      const count = Math.ceil(size / blockSize);
      assert.is(snapshot.cells.length, Math.min(cells, count));
      snapshot.cells.forEach((percent, cell) => {
        const from = Math.floor((cell * count) / snapshot.cells.length);
        const to = Math.floor(((cell + 1) * count) / snapshot.cells.length);
        let covered = 0;
        for (let block = from; block < to; block++) if (blocks.has(block)) covered++;
        assert.is(percent === 0, covered === 0);
        assert.is(percent === 100, covered === to - from);
        assert.ok(Number.isInteger(percent) && Math.abs(percent - (100 * covered) / (to - from)) <= 1);
      });
    }),
  );
});

tests("an image that grows keeps what was marked, as if it had been as large from the beginning", () => {
  fc.assert(
    fc.property(ranged, fc.integer({ min: 1, max: 2 ** 40 }), ([size, ranges], more) => {
      const grown = new Coverage();
      const large = new Coverage();
      const end = Math.min(Number.MAX_SAFE_INTEGER, size + more);
      grown.fit(size);
      large.fit(end);
      for (const [offset, length] of ranges) {
        grown.mark(offset, length);
        large.mark(offset, length);
      }
      grown.fit(end);
      assert.equal(grown.snapshot(100), large.snapshot(100));
      grown.fit(1);
      assert.equal(grown.snapshot(100), large.snapshot(100), "one that is smaller changes nothing");
    }),
  );
});

tests("what lies beyond the image counts for nothing", () => {
  const coverage = new Coverage();
  coverage.mark(0, 1);
  assert.equal(coverage.snapshot(10), { blockSize: 512, bytesCovered: 0, fraction: 0, cells: [] });
  coverage.fit(1000);
  coverage.mark(512, 10_000);
  assert.equal(coverage.snapshot(10), {
    blockSize: 512,
    bytesCovered: 488,
    fraction: 0.488,
    cells: [0, 100],
  });
});

tests.run();
