import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { WebSocketError } from "../../transport/websocket.ts";
import { isTls, openTls, type Trust } from "../tls-connection.ts";

export interface SendOptions {
  /** Sent as JSON. */
  body?: object | undefined;
  trust: Trust;
  /** Gives up. */
  signal: AbortSignal;
  /** For the header Authorization. */
  credential?: string | undefined;
}

/**
 * Sends a request, on a connection of its own. Over TLS the certificate is checked before anything is sent. A redirect is
 * an answer like any other.
 */
export async function send(
  method: "GET" | "POST",
  url: URL,
  { body, trust, signal, credential }: SendOptions,
): Promise<IncomingMessage> {
  signal.throwIfAborted();
  const socket = isTls(url.protocol) ? await openTls(url, trust, signal) : undefined;
  const text = body === undefined ? "" : JSON.stringify(body);
  const headers = {
    Host: url.host,
    ...(body !== undefined && { "Content-Type": "application/json" }),
    ...(method === "POST" && { "Content-Length": Buffer.byteLength(text) }),
    Connection: "close",
    ...(credential !== undefined && { Authorization: `Bearer ${credential}` }),
  };
  const start = socket ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const request = start(url, {
      method,
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
