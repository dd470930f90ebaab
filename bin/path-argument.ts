import { readFileSync } from "node:fs";

/** Runs of what stands for bytes that are not UTF-8, as one: decoders differ in how many there are. */
const comparable = (text: string) => text.replace(/\ufffd+/g, "\ufffd");

/**
 * A path among the arguments as what opens it: its bytes where they are not UTF-8, which Node's own arguments have lost. To be
 * called before the process is given another title, which takes the place of its arguments.
 *
 * @param option the option that it is the value of, as "--record"
 */
export function pathArgument(text: string, option?: string): string | Buffer {
  if (!text.includes("\ufffd")) return text;
  let line: Buffer;
  try {
    line = readFileSync("/proc/self/cmdline");
  } catch {
    return text; // a system that is not Linux
  }
  let before = "";
  for (let at = 0; at < line.byteLength; ) {
    const end = line.indexOf(0, at);
    const argument = line.subarray(at, end < 0 ? line.byteLength : end);
    at += argument.byteLength + 1;
    const inOne = option !== undefined && argument.indexOf(`${option}=`) === 0;
    const value = inOne ? argument.subarray(option.length + 1) : argument;
    const isWanted = option === undefined || inOne || before === option;
    if (isWanted && comparable(value.toString()) === comparable(text)) return value;
    before = argument.toString();
  }
  return text;
}
