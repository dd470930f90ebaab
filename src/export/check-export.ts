import { checkAmount, checkMethods, checkType, checkWhole } from "../streams/check.ts";
import type { BlockSize, Export } from "./export.ts";

const OPTIONAL = ["write", "flush", "trim", "writeZeroes", "cache", "extents", "knownExtents"] as const;

/** The largest minimum block size, in bytes (proto.md, "Size constraints"). */
export const MAX_MINIMUM = 1 << 16;

/**
 * Checks an export before it is used.
 * @throws TypeError if something is missing, or is of the wrong kind
 * @throws RangeError if its size is not a whole number of bytes from 0 to 2^53 - 1, or its block size is impossible
 */
export function checkExport(target: Export, what = "the export"): void {
  checkMethods(target, what, "an export, with size, read() and close()", ["read", "close"]);
  checkWhole(target.size, `the size of ${what}, in bytes,`);
  for (const name of OPTIONAL) {
    if (target[name] !== undefined) checkType(target[name], `${name} of ${what}`, "function");
  }
  if (target.blockSize !== undefined) checkBlockSize(target.blockSize, what);
}

function checkBlockSize({ minimum, preferred, maximum }: BlockSize, what: string): void {
  checkPowerOfTwo(minimum, `the minimum block size of ${what}`, 1, MAX_MINIMUM);
  checkPowerOfTwo(preferred, `the preferred block size of ${what}`, Math.max(512, minimum), 2 ** 31);
  checkAmount(maximum, `the maximum block size of ${what}`, minimum);
}

function checkPowerOfTwo(value: number, what: string, least: number, most: number): void {
  checkWhole(value, what, least, most);
  if (!Number.isInteger(Math.log2(value))) {
    throw new RangeError(`${what} must be a power of two, not ${value}`);
  }
}
