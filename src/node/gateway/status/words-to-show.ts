import { oneLine } from "../../../nbd/one-line.ts";
import { wordsForOthers } from "../../../streams/for-others.ts";

/** The longest words that are shown, in characters. */
const LONGEST = 300;

/** An error in words that anybody may see who has logged in: those for the other side, without paths of either machine. */
export function wordsToShow(error: unknown): string {
  const words = oneLine(wordsForOthers(error).slice(0, 2 * LONGEST))
    .replaceAll("the other machine", "this machine")
    // What a peer has said is quoted in words of ours, and may name files of its own machine.
    .replace(/(^|[^\p{L}\p{N}/])(?:[A-Za-z]:\\|\\\\|~?\/)[^\s"'“”,;)]*[^\s"'“”,;:.)]/gu, "$1…");
  return words.length > LONGEST ? `${words.slice(0, LONGEST)}…` : words;
}
