import { ProtocolError, RefusedError } from "../../nbd/error.ts";
import { LOST } from "../../transport/close-codes.ts";

/**
 * How a link has ended:
 *
 * - `ejected`: the other side wanted it.
 * - `lost`: the connection broke, or the other side went away without a word. It may come back.
 * - `failed`: something was wrong with what was said. It would be again.
 */
export type LinkEnd = "ejected" | "lost" | "failed";

/** Close codes of a side that wants the end (RFC 6455, section 7.4.1): normal closure, and none. */
const WANTED = new Set([1000, 1005]);

/**
 * Judges the end of a link.
 * @param error what the link has ended with; undefined: it ended in order
 * @param closeCode of the other side, if that is known
 */
export function linkEndOf(error: unknown, closeCode: number | undefined): LinkEnd {
  if (error instanceof ProtocolError || error instanceof RefusedError) return "failed";
  if (closeCode === undefined) return error === undefined ? "ejected" : "lost";
  if (WANTED.has(closeCode)) return "ejected";
  return LOST.has(closeCode) ? "lost" : "failed";
}
