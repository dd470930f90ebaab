import type { Parser } from "./parse.ts";

/** Bytes that are taken at a time. */
const PIECE = 1 << 15;

/** Skips bytes in small pieces, so that none of them is held, however many they are. */
export function* skip(length: number): Parser<void> {
  for (let left = length; left > 0; left -= PIECE) yield Math.min(left, PIECE);
}
