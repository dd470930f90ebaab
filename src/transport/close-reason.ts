/** The longest close reason, in bytes of UTF-8 (RFC 6455, section 5.5). */
export const MAX_REASON = 123;

/** How much is kept of the beginning of a longer text, in bytes. */
const BEGINNING = 36;

const GAP = "…";

/**
 * Shortens a text to a close reason. It keeps the beginning, which says what was being done, and the end, which says what was
 * wrong.
 */
export function closeReason(words: string): string {
  return shortened(words, MAX_REASON, BEGINNING);
}

/**
 * Shortens a text in the middle, between characters.
 * @param most bytes of UTF-8
 * @param beginning how many of them are kept of the beginning, at most
 */
export function shortened(words: string, most: number, beginning: number): string {
  if (bytesIn(words) <= most) return words;
  const characters = [...words];
  const first = fitting(characters, beginning);
  const last = fitting(characters.reverse(), most - beginning - bytesIn(GAP)).reverse();
  return `${first.join("")}${GAP}${last.join("")}`;
}

/** The first characters that fit into `bytes` bytes. */
function fitting(characters: readonly string[], bytes: number): string[] {
  let left = bytes;
  let end = 0;
  for (const character of characters) {
    left -= bytesIn(character);
    if (left < 0) break;
    end++;
  }
  return characters.slice(0, end);
}

/** How many bytes of UTF-8 a text has. */
export function bytesIn(text: string): number {
  return new TextEncoder().encode(text).byteLength;
}
