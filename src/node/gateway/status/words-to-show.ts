import { oneLine } from "../../../nbd/one-line.ts";
import { wordsForOthers } from "../../../streams/for-others.ts";

/** The longest words that are shown, in characters. */
const LONGEST = 300;

/** What a peer has said, as it stands in words of ours (see `quoted`), which may be cut. */
const QUOTED = /"((?:[^"\\]|\\.)*)\\?(?:"|$)/g;

/** From the first word with a slash or a backslash in it, as a path has, to the end. Where a path ends cannot be told: it may have blanks. */
const FROM_PATH = /(?:^|(?<=\s))(?=\S*(?:\/|\\\\)).*$/s;

/** An error in words that anybody may see who has logged in: those for the other side, without paths of either machine. */
export function wordsToShow(error: unknown): string {
  const words = oneLine(wordsForOthers(error).slice(0, 2 * LONGEST))
    .replaceAll("the other machine", "this machine")
    .replace(QUOTED, (_, said: string) => `"${said.replace(FROM_PATH, "…")}"`);
  return words.length > LONGEST ? `${words.slice(0, LONGEST)}…` : words;
}
