/** The longest close reason, in bytes of UTF-8 (RFC 6455, section 5.5). */
const MAX_REASON = 123;

/** What is kept of the beginning of words that are too long, in bytes. */
const BEGINNING = 36;

const GAP = "…";

/**
 * Words as a close reason. Of words that are too long both ends are kept: they begin with what was being done, and end with
 * what was wrong. No character is cut in two.
 */
export function closeReason(words: string): string {
  if (bytesIn(words) <= MAX_REASON) return words;
  const characters = [...words];
  const beginning = fitting(characters, BEGINNING);
  const end = fitting(characters.reverse(), MAX_REASON - BEGINNING - bytesIn(GAP)).reverse();
  return `${beginning.join("")}${GAP}${end.join("")}`;
}

/** The first characters that fit in so many bytes. */
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
