import type { Cache } from "./cache.ts";

/**
 * How much of each cell of an image lies in a cache, or is on its way there: 0 nothing, 255 all of it. It costs as much as
 * there are cells, and gaps between what is kept.
 */
export function cachedCells(cache: Cache, cellSize: number): Uint8Array<ArrayBuffer> {
  const { size } = cache.export;
  const missing = new Float64Array(Math.ceil(size / cellSize));
  for (const [from, to] of cache.gaps(0, size)) {
    const end = Math.min(size, to);
    for (let at = from; at < end; ) {
      const cell = Math.floor(at / cellSize);
      const next = Math.min(end, (cell + 1) * cellSize);
      missing[cell]! += next - at;
      at = next;
    }
  }
  return new Uint8Array(missing.length).map((_, cell) => {
    const bytes = missing[cell]!;
    const length = Math.min(cellSize, size - cell * cellSize);
    // Of a part there is always something to be seen, and never all.
    return bytes === 0 ? 255 : Math.ceil((254 * (length - bytes)) / length);
  });
}
