import type { IncomingMessage } from "node:http";
import type { Trust } from "../tls-connection.ts";
import { send } from "./send.ts";

/** Bytes of the longest answer. */
const LONGEST = 4096;

/**
 * Sends a POST, with JSON if there is a body; see `send`.
 * @param credential for the header Authorization
 */
export async function post(
  url: URL,
  body: object | undefined,
  trust: Trust,
  signal: AbortSignal,
  credential?: string,
): Promise<IncomingMessage> {
  return send("POST", url, { body, trust, signal, credential });
}

/** The object in the body of an answer, in JSON; an empty one when there is none, or the body is too long. */
export async function bodyOf(response: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length > LONGEST) return {};
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
