/** The longest close reason, in bytes of UTF-8 (RFC 6455, section 5.5). */
const MAX_REASON = 123;

/** How much is kept of the beginning of a longer text, in bytes. */
const BEGINNING = 36;

const GAP = "…";

/**
 * Shortens a text to a close reason. It keeps the beginning, which says what was being done, and the end, which says what was
 * wrong. It cuts between characters.
 */
export function closeReason(words: string): string {
  if (bytesIn(words) <= MAX_REASON) return words;
  const characters = [...words];
  const beginning = fitting(characters, BEGINNING);
  const end = fitting(characters.reverse(), MAX_REASON - BEGINNING - bytesIn(GAP)).reverse();
  return `${beginning.join("")}${GAP}${end.join("")}`;
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

function bytesIn(text: string): number {
  return new TextEncoder().encode(text).byteLength;
}
