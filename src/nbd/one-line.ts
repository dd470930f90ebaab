/**
 * Words that came from elsewhere, made fit for a line of a log or a terminal: what is no letter, mark, number,
 * punctuation or symbol becomes a space, as control characters could forge lines and more.
 */
export function oneLine(words: string): string {
  return words.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+/gu, " ").trim();
}
