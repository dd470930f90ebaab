import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { WebSocketError } from "../../transport/websocket.ts";
import { isTls, openTls, type Trust } from "../tls-connection.ts";

/** Bytes of the longest answer. */
const LONGEST = 4096;

/**
 * Sends a POST, with JSON if there is a body, on a connection of its own. Over TLS the certificate is checked before anything is sent. A redirect is
 * an answer like any other.
 *
 * @param credential for the header Authorization
 */
export async function post(
  url: URL,
  body: object | undefined,
  trust: Trust,
  signal: AbortSignal,
  credential?: string,
): Promise<IncomingMessage> {
  signal.throwIfAborted();
  const socket = isTls(url.protocol) ? await openTls(url, trust, signal) : undefined;
  const text = body === undefined ? "" : JSON.stringify(body);
  const headers = {
    Host: url.host,
    ...(body !== undefined && { "Content-Type": "application/json" }),
    "Content-Length": Buffer.byteLength(text),
    Connection: "close",
    ...(credential !== undefined && { Authorization: `Bearer ${credential}` }),
  };
  const send = socket ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const request = send(url, {
      method: "POST",
      headers,
      signal,
      ...(socket ? { createConnection: () => socket } : { agent: false }),
    });
    request.once("response", resolve);
    request.on("error", (error) => reject(signal.aborted ? signal.reason : error));
    request.once("upgrade", (_response, connection) => {
      connection.destroy();
      reject(new WebSocketError("the server's answer is not what was asked for"));
    });
    request.end(text);
  });
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
