import { oneLine } from "../../nbd/one-line.ts";

/** The most characters of one text of a peer's in a line of the log. */
const LONGEST = 64;

/** What a peer said, in quotation marks and cut at 64 characters: in a line of the log it cannot pass for our words. */
export function quoted(text: string): string {
  const words = oneLine(text);
  return `${JSON.stringify(words.slice(0, LONGEST))}${words.length > LONGEST ? "…" : ""}`;
}
