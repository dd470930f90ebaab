import { oneLine } from "../../nbd/one-line.ts";

const LONGEST = 64;

/**
 * The rule for names of configurations, for messages. A name is a path of a URL, an argument of the state hook and of
 * nbd-proxy, and the beginning of lines in a log, and it is the same in all of them.
 */
export const NAME_RULE = `a name has 1 to ${LONGEST} characters, is not "." or "..", does not begin with "-" and has no control or format characters, no blanks at its ends and none of / \\ ? # %`;

/** Whether a configuration can have a name. Lengths are counted in characters, not bytes. */
export function isConfigurationName(name: string): boolean {
  return (
    name !== "" &&
    [...name].length <= LONGEST &&
    name === oneLine(name) &&
    !/^-|^\.\.?$|[/\\?#%]/.test(name) &&
    // In JavaScript no object has a key of that name in the ordinary way, neither ours nor those of consoles.
    name !== "__proto__"
  );
}
