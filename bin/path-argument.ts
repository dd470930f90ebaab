import { readFileSync } from "node:fs";

/** The text with each run of replacement characters as one: decoders differ in how many they use. */
const comparable = (text: string) => text.replace(/\ufffd+/g, "\ufffd");

/**
 * A path among the arguments, in a form that opens it: the text, or the bytes if they are not UTF-8, since Node's own arguments
 * have lost those. Call it before `process.title` is set, which overwrites the arguments.
 *
 * @param option the option that has the path as its value, such as "--record"
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
