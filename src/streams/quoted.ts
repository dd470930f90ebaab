/**
 * Untrusted words for a line that people read: in quotation marks, escaped as in JavaScript, cut at `most` characters. They
 * cannot close the quotation, begin a line, control a terminal, or change the direction of text.
 */
export function quoted(words: string, most = 64): string {
  // A character has at most two UTF-16 units. The rest may be long, so it is cut before it is looked at.
  const characters = Array.from(words.slice(0, 2 * (most + 1)));
  const rest = characters.length > most ? "…" : "";
  return `"${characters.slice(0, most).map(escaped).join("")}${rest}"`;
}

function escaped(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  // Letters, marks, numbers, punctuation and symbols.
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character)) return character;
  return names[character] ?? `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

const names: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
