import type { Readable } from "node:stream";

/**
 * The first line of a stream, without its end. The stream is not read any further, and destroyed.
 * @throws Error when it is longer than so many bytes
 */
export async function firstLine(stream: Readable, most: number): Promise<string> {
  let text = "";
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    text += chunk.toString("latin1");
    const end = text.indexOf("\n");
    if ((end < 0 ? text.length : end) > most) throw new Error(`its first line is longer than ${most} bytes`);
    if (end >= 0) return text.slice(0, end);
  }
  return text;
}
