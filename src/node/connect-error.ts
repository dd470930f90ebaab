import { type IncomingMessage, STATUS_CODES } from "node:http";
import { deadline } from "../streams/deadline.ts";
import { messageOf } from "../streams/message-of.ts";
import { quoted } from "../streams/quoted.ts";
import { shownUrl } from "../transport/shown-url.ts";
import { WebSocketError } from "../transport/websocket.ts";
import { AddressError } from "./address-error.ts";

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the server closed the connection without an answer",
  EAI_AGAIN: "the host's name cannot be looked up now",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the host cannot be reached",
  ENOTFOUND: "there is no host of that name",
  ETIMEDOUT: "the host does not answer",
};

/** OpenSSL's words for a server that answers in plain text. */
const PLAIN = /wrong version number|packet length too long|unknown protocol|http request/;

/** Milliseconds that a server has to say why it refuses, and the bytes of that which are read. */
const REFUSAL_TIME = 2000;
const REFUSAL_LENGTH = 4096;

/** Characters of a server's own words that a message quotes. */
const MAX_WORDS = 200;

/** Says in words why a WebSocket could not be opened, or failed. The error is the cause of the new one. */
export function connectError(cause: Error, isSecure: boolean): WebSocketError {
  return new WebSocketError(reason(cause, isSecure), { cause });
}

function reason(error: NodeJS.ErrnoException, isSecure: boolean): string {
  const { code = "", message } = error;
  const known = words[code];
  if (code === "EPROTO") {
    if (PLAIN.test(message)) return "the server does not speak TLS there; use ws://";
    // The rest of the message names OpenSSL's functions and files.
    const [, why] = /SSL routines:[^:]*:([^:\n]+)/.exec(message) ?? [];
    return why ? `TLS failed: ${why}` : messageOf(error);
  }
  const hint = isSecure ? "if it does not speak TLS, use ws://" : "if it speaks TLS, use wss://";
  if (code === "ECONNRESET") return `${known}; ${hint}`;
  if (code.startsWith("HPE_")) return `the server does not speak HTTP there; ${hint}`;
  return known ?? messageOf(error);
}

/** Why a socket could not be connected, with what was being done before it. */
export function socketFault(doing: string, cause: NodeJS.ErrnoException): AddressError {
  const { code } = cause;
  const why = socketWords[code ?? ""] ?? words[code ?? ""] ?? messageOf(cause);
  return new AddressError(`${doing}: ${why}`, code, { cause });
}

const socketWords: Readonly<Record<string, string>> = {
  EACCES: "permission is denied",
  ECONNRESET: "the server closed the connection without an answer",
  ENOENT: "there is no such socket",
  ENOTSOCK: "that is not a socket",
};

/** Says why a server refused a WebSocket's handshake, with the first line of its answer. */
export async function refusal(response: IncomingMessage): Promise<WebSocketError> {
  const { statusCode = 0, headers } = response;
  const status = `the server answered ${statusCode} ${STATUS_CODES[statusCode] ?? ""}`.trim();
  if (statusCode < 300) return new WebSocketError(`${status}: there is no WebSocket at this path`);
  if (statusCode < 400 && headers.location) {
    return new WebSocketError(`${status}: it is at ${quoted(shownUrl(headers.location), MAX_WORDS)}`);
  }
  const said = (await beginning(response)).trimStart();
  // The first line of an HTML page says nothing.
  const line = said.startsWith("<") ? "" : said.split("\n", 1)[0]!.trim();
  return new WebSocketError(line ? `${status}: ${quoted(line, MAX_WORDS)}` : status);
}

/** The beginning of a response's body, as far as it came in time. */
async function beginning(response: IncomingMessage): Promise<string> {
  const callOff = deadline(REFUSAL_TIME, () => response.destroy());
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.byteLength;
      if (length >= REFUSAL_LENGTH) break;
    }
  } catch {
    // What came before the failure is all there is.
  } finally {
    callOff();
    response.destroy();
  }
  return Buffer.concat(chunks).toString("utf8");
}
