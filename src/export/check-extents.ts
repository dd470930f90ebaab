import { shown } from "../streams/check.ts";
import type { Extent } from "./export.ts";

/**
 * Checks the extents that an export returned.
 * @param call the call, for the message
 * @throws TypeError, RangeError if they are wrong, which is a fault of the export
 */
export function checkExtents(extents: readonly Extent[], call: string): void {
  if (!Array.isArray(extents)) throw new TypeError(`${call} gave ${shown(extents)}, not an array of extents`);
  for (const extent of extents as readonly (Extent | undefined)[]) {
    const length = extent?.length;
    if (Number.isSafeInteger(length) && length! > 0) continue;
    throw new RangeError(`${call} gave an extent whose length is ${shown(length)}`);
  }
}
