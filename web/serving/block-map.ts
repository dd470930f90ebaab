import type { Cache } from "../../src/export/filters/cache.ts";
import { cachedCells } from "../../src/export/filters/cached-cells.ts";
import type { Frequency } from "../../src/export/filters/frequency.ts";
import type { Statistics } from "../../src/export/filters/statistics.ts";
import { readLevel } from "./read-level.ts";
import type { BlockMap } from "./report.ts";

/** What a map is made of. */
export interface MapSources {
  reads: Frequency;
  statistics: Statistics;
  /** Absent where nothing is kept in memory. */
  cache: Cache | undefined;
}

/** The map as it is now, in memory of its own. */
export function blockMap({ reads, statistics, cache }: MapSources): BlockMap {
  const { cellSize, cells } = reads;
  return {
    cellSize,
    reads: new Uint8Array(cells).map((_, cell) => readLevel(reads.timesOf(cell))),
    writes: statistics.written(cellSize),
    cached: cache ? cachedCells(cache, cellSize) : new Uint8Array(cells),
  };
}

/** A map of which another owner may take the memory. */
export function copyOf({ cellSize, reads, writes, cached }: BlockMap): BlockMap {
  return { cellSize, reads: reads.slice(), writes: writes.slice(), cached: cached.slice() };
}

export function isSameMap(one: BlockMap, other: BlockMap): boolean {
  return (["reads", "writes", "cached"] as const).every((row) =>
    one[row].every((level, cell) => level === other[row][cell]),
  );
}
