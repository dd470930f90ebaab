import type { Parser } from "./parse.ts";

/** Bytes that are skipped at a time. */
const PIECE = 1 << 15;

/** Skips `length` bytes in small pieces, so that a long length takes no memory. */
export function* skip(length: number): Parser<void> {
  for (let left = length; left > 0; left -= PIECE) yield Math.min(left, PIECE);
}
