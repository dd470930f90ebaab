import type { IncomingMessage } from "node:http";

/** The header of an answer in JSON. */
export const JSON_TYPE = { "Content-Type": "application/json; charset=utf-8" };

/**
 * The body of a request; undefined if it does not come. Admission has looked at its length. The server ends requests that
 * take too long.
 */
export async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

/** What a body says in JSON; undefined if it is none. */
export function fromJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
