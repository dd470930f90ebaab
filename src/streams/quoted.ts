/**
 * Words that came from elsewhere, to stand in a line for people: in quotation marks, escaped as in JavaScript, cut at `most`
 * characters. Inside the marks nothing can end them, begin a line, steer a terminal, or turn the direction of text.
 */
export function quoted(words: string, most = 64): string {
  // A character is at most two units long. The rest, which may be long, is not looked at.
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
