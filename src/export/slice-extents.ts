import type { Extent } from "./export.ts";

/**
 * The extents of a part of a range: `length` bytes at most, from `skip` bytes on. When the extents end before the part begins,
 * the whole part counts as data.
 */
export function sliceExtents(extents: readonly Extent[], skip: number, length: number): Extent[] {
  const result: Extent[] = [];
  let at = -skip;
  for (const extent of extents) {
    const from = Math.max(at, 0);
    at += extent.length;
    const to = Math.min(at, length);
    if (to > from) result.push({ ...extent, length: to - from });
  }
  return result.length > 0 ? result : [{ length, hole: false, zero: false }];
}
