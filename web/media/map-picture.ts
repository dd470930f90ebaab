import { readLevel } from "../serving/read-level.ts";
import type { BlockMap } from "../serving/report.ts";

/** How often something must have been read to have the next stronger shade; less than once has the first one. */
export const SHADES = [1, 3, 7, 31] as const;

const LEVELS = [1, ...SHADES.map(readLevel)];

/** How strong each shade is, 0 not read. */
export const STRENGTHS = [0, 0.22, 0.4, 0.6, 0.8, 1] as const;

/** The shade of a cell: 0 not read, else 1 to 5. */
export function shadeOf(level: number): number {
  return LEVELS.filter((least) => level >= least).length;
}

/** In how many steps the share of a cell is shown that was written, or is in the cache. */
const STEPS = 4;

/** The share of a cell in steps that can be seen: 0 none, anything else at least one. */
export function stepOf(share: number): number {
  return Math.ceil((share / 255) * STEPS);
}

/** Where the cells of a map are, in pixels of a canvas. */
export interface MapLayout {
  readonly columns: number;
  readonly rows: number;
  readonly width: number;
  readonly height: number;
  /** Between two cells. */
  readonly gap: number;
}

/** Pixels of a page that a cell takes at least, with the gap behind it. */
const CELL = 4.5;

/**
 * Lays cells out in rows.
 * @param width pixels of the page
 * @param density pixels of the canvas for each of these
 */
export function layOut(cells: number, width: number, density: number): MapLayout {
  const most = Math.max(1, Math.floor(width / CELL));
  // A power of two, as people count bytes: a row is as much as they expect.
  const columns = Math.min(2 ** Math.floor(Math.log2(most)), 2 ** Math.ceil(Math.log2(Math.max(1, cells))));
  const rows = Math.ceil(cells / columns);
  const pixels = Math.max(1, Math.floor(width * density));
  return {
    columns,
    rows,
    width: pixels,
    height: Math.max(1, Math.floor(Math.min(pixels / columns, 10 * density))) * rows,
    gap: Math.max(1, Math.round(density)),
  };
}

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Where a cell is. */
export function cellAt(index: number, { columns, rows, width, height, gap }: MapLayout): Rectangle {
  const column = index % columns;
  const row = Math.floor(index / columns);
  const x = Math.round((column * width) / columns);
  const y = Math.round((row * height) / rows);
  return {
    x,
    y,
    width: Math.max(1, Math.round(((column + 1) * width) / columns) - x - gap),
    height: Math.max(1, Math.round(((row + 1) * height) / rows) - y - gap),
  };
}

/** The cell at a place; undefined: there is none. */
export function cellBelow(x: number, y: number, cells: number, layout: MapLayout): number | undefined {
  const { columns, rows, width, height } = layout;
  const column = Math.min(columns - 1, Math.max(0, Math.floor((x * columns) / width)));
  const index = Math.floor((y * rows) / height) * columns + column;
  return index >= 0 && index < cells ? index : undefined;
}

/** What is seen of each cell, in a number: two that look alike have the same one. */
export function looksOf({ reads, writes, cached }: BlockMap): Uint16Array {
  return Uint16Array.from(
    reads,
    (level, i) => (shadeOf(level) << 8) | (stepOf(writes[i] ?? 0) << 4) | stepOf(cached[i] ?? 0),
  );
}

export interface Look {
  readonly shade: number;
  /** In fourths. */
  readonly written: number;
  readonly cached: number;
}

export function lookOf(look: number): Look {
  return { shade: look >> 8, written: ((look >> 4) & 15) / STEPS, cached: (look & 15) / STEPS };
}

/** The share of the image of which something is told for each cell, from 0 to 255. */
export function meanShare(shares: Uint8Array): number {
  return shares.length === 0 ? 0 : shares.reduce((sum, one) => sum + one, 0) / (255 * shares.length);
}
