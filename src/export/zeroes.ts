import { checkMethods, checkWhole } from "../streams/check.ts";
import { Errno, ExportError } from "./error.ts";
import type { Export, WriteZeroesOptions } from "./export.ts";

/** Zeroes that are written at a time, in bytes. */
const PIECE = 1 << 18;

const zeroes = new Uint8Array(PIECE);

/** What is needed of an export to write to it. */
export type WritableExport = Required<Pick<Export, "write">> & Pick<Export, "flush">;

/**
 * Makes a range read as zeroes by writing them, however long it is, in pieces one after the other. Asked to be
 * `fast` it fails with ENOTSUP, as it never is.
 */
export async function writeZeroesPiecewise(
  target: WritableExport,
  offset: number,
  length: number,
  { fua = false, fast = false, signal }: WriteZeroesOptions = {},
): Promise<void> {
  checkMethods(target, "what is written to", "an export with write()", ["write"]);
  checkWhole(offset, "the offset");
  checkWhole(length, "the length");
  if (fast) throw new ExportError(Errno.ENOTSUP, "the zeroes would have to be written");
  for (let at = 0; at < length; at += PIECE) {
    signal?.throwIfAborted();
    await target.write(offset + at, zeroes.subarray(0, Math.min(PIECE, length - at)), signal && { signal });
  }
  // One flush behind all pieces is cheaper than FUA in each.
  if (fua) await target.flush?.();
}
