import { checkMethods, checkWhole } from "../streams/check.ts";
import { Errno, ExportError } from "./error.ts";
import type { Export, WriteZeroesOptions } from "./export.ts";

/** How many zeroes are written at a time, in bytes. */
const PIECE = 1 << 18;

const zeroes = new Uint8Array(PIECE);

/** What `writeZeroesPiecewise` needs of an export. */
export type WritableExport = Required<Pick<Export, "write">> & Pick<Export, "flush">;

/**
 * Makes a range of any length read as zeroes by writing them, one piece after the other. With `fast` it fails with ENOTSUP,
 * since it is never fast.
 */
export async function writeZeroesPiecewise(
  target: WritableExport,
  offset: number,
  length: number,
  options: WriteZeroesOptions = {},
): Promise<void> {
  checkMethods(target, "what is written to", "an export with write()", ["write"]);
  checkWhole(offset, "the offset");
  checkWhole(length, "the length");
  await writeZeroesUnchecked(target, offset, length, options);
}

/** `writeZeroesPiecewise` without checks, for what was checked before. */
export async function writeZeroesUnchecked(
  target: WritableExport,
  offset: number,
  length: number,
  { fua = false, fast = false, signal }: WriteZeroesOptions,
): Promise<void> {
  if (fast) throw new ExportError(Errno.ENOTSUP, "the zeroes would have to be written");
  for (let at = 0; at < length; at += PIECE) {
    signal?.throwIfAborted();
    await target.write(offset + at, zeroes.subarray(0, Math.min(PIECE, length - at)), signal && { signal });
  }
  // One flush after all pieces is cheaper than FUA in each.
  if (fua) await target.flush?.();
}
