import { samplePlaces } from "../../export/samples.ts";
import type { Introduction } from "../../nbd/introduction.ts";
import { quoted } from "../../streams/quoted.ts";

/** Bytes of the sample of one place. */
const SAMPLE = 8;

/** Characters of what a server says of a change, as long as it can be. */
const LONGEST_WORDS = 255;

/** What is known of the medium that is attached. */
export interface KnownMedium {
  /** In bytes. */
  readonly size: number;
  readonly introduction: Introduction;
  /** With which the other side has made its samples. */
  readonly nonce: string;
  readonly isWritable: boolean;
  /** Whether any byte of a range was changed through this session. */
  wasChanged(offset: number, length: number): boolean;
}

/**
 * Compares what a server says of its medium with the one that is attached.
 * @returns what differs, in words; undefined if nothing does
 */
export function mediumDifference(
  { size, introduction: first, nonce, isWritable, wasChanged }: KnownMedium,
  next: Introduction,
): string | undefined {
  if (next.size !== first.size) return `it has ${next.size} bytes, not ${first.size}`;
  if (next.name !== first.name) return `it is ${quoted(next.name)}, not ${quoted(first.name)}`;
  if (next.changed !== undefined) return quoted(next.changed, LONGEST_WORDS);
  // Where we write, the time changes by that: the other side sees to it, and says `changed`.
  if (!isWritable && next.modified !== first.modified) return "it was modified at another time";
  const differs =
    next.samples.byteLength !== first.samples.byteLength ||
    samplePlaces(size, nonce).some(({ offset, length }, i) => {
      if (wasChanged(offset, length)) return false;
      const [from, to] = [i * SAMPLE, (i + 1) * SAMPLE];
      return String(next.samples.subarray(from, to)) !== String(first.samples.subarray(from, to));
    });
  return differs ? "it has other bytes" : undefined;
}
