import { readFileSync } from "node:fs";

/** Runs of what stands for bytes that are not UTF-8, as one: decoders differ in how many there are. */
const comparable = (text: string) => text.replace(/\ufffd+/g, "\ufffd");

/**
 * A path among the arguments as what opens it: its bytes where they are not UTF-8, which Node's own arguments have lost. To be
 * called before the process is given another title, which takes the place of its arguments.
 */
export function pathArgument(text: string): string | Buffer {
  if (!text.includes("\ufffd")) return text;
  let line: Buffer;
  try {
    line = readFileSync("/proc/self/cmdline");
  } catch {
    return text; // a system that is not Linux
  }
  for (let at = 0; at < line.byteLength; ) {
    const end = line.indexOf(0, at);
    const argument = line.subarray(at, end < 0 ? line.byteLength : end);
    if (comparable(argument.toString()) === comparable(text)) return argument;
    at += argument.byteLength + 1;
  }
  return text;
}
