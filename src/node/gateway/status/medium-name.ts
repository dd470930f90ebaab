import { oneLine } from "../../../nbd/one-line.ts";

/** The longest name that is shown, in characters. */
const LONGEST = 128;

/** The name of a medium, as its server tells it, to show: the last part of a path, without what could control a terminal. */
export function mediumName(told: string): string {
  // The end of a very long name is all that is looked at.
  const name = oneLine(told.slice(-4 * LONGEST).replace(/^.*[/\\]/s, ""));
  return name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name;
}
