import type { Readable } from "node:stream";

/** Bytes of the longest line. */
const LONGEST = 1024;

/**
 * The first line of a stream, without its end. The stream is not read any further, and destroyed.
 * @throws Error when it is longer than 1 KiB
 */
export async function firstLine(stream: Readable): Promise<string> {
  let text = "";
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    text += chunk.toString("latin1");
    const end = text.indexOf("\n");
    if ((end < 0 ? text.length : end) > LONGEST) throw new Error("its first line is longer than 1 KiB");
    if (end >= 0) return text.slice(0, end);
  }
  return text;
}
