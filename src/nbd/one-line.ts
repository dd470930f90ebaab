/**
 * Untrusted words made safe for a line of a log or a terminal. Everything but letters, marks, numbers, punctuation and symbols
 * becomes a space, since control characters could forge lines, or control the terminal.
 */
export function oneLine(words: string): string {
  return words.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+/gu, " ").trim();
}
