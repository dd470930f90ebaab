import { type IncomingMessage, STATUS_CODES } from "node:http";
import { deadline } from "../streams/deadline.ts";
import { messageOf } from "../streams/message-of.ts";
import { quoted } from "../streams/quoted.ts";
import { certificateFault, connectionFault, connectionWords } from "../transport/connection-fault.ts";
import { shownUrl } from "../transport/shown-url.ts";
import { WebSocketError } from "../transport/websocket.ts";
import { AddressError } from "./address-error.ts";

/** Milliseconds that a server has to say why it refuses, and the bytes of that which are read. */
const REFUSAL_TIME = 2000;
const REFUSAL_LENGTH = 4096;

/** Characters of a server's own words that a message quotes. */
const MAX_WORDS = 200;

/** A server answered something else than was asked for. */
export class AnswerError extends WebSocketError {
  /** Of the answer. */
  readonly status: number;

  constructor(message: string, { status, ...options }: ErrorOptions & { status: number }) {
    super(message, options);
    this.status = status;
  }
}

/** Says in words why a server at a URL with this protocol cannot be spoken to. The error is the cause of the new one. */
export function connectError(cause: Error, protocol: string): WebSocketError {
  if (cause instanceof WebSocketError) return cause;
  return new WebSocketError(reason(cause, protocol), { cause });
}

function reason(error: NodeJS.ErrnoException, protocol: string): string {
  const certificate = certificateFault(error);
  if (certificate) {
    return `${certificate}; say which one to trust, by its fingerprint (--fingerprint SHA256) or its authority (--ca FILE)`;
  }
  return connectionFault(error, protocol);
}

/** Why a socket could not be connected, with what was being done before it. */
export function socketFault(doing: string, cause: NodeJS.ErrnoException): AddressError {
  const { code } = cause;
  const why = socketWords[code ?? ""] ?? connectionWords[code ?? ""] ?? messageOf(cause);
  return new AddressError(`${doing}: ${why}`, code, { cause });
}

const socketWords: Readonly<Record<string, string>> = {
  EACCES: "permission is denied",
  ECONNRESET: "the server closed the connection without an answer",
  ENOENT: "there is no such socket",
  ENOTSOCK: "that is not a socket",
};

/** Says why a server refused a request, with the first line of its answer, or the "error" of an answer in JSON. */
export async function refusal(response: IncomingMessage): Promise<AnswerError> {
  const { statusCode = 0, headers } = response;
  const status = `the server answered ${statusCode} ${STATUS_CODES[statusCode] ?? ""}`.trim();
  const told = (words: string) => new AnswerError(words, { status: statusCode });
  if (statusCode < 300) return told(`${status}: there is no WebSocket at this path`);
  if (statusCode < 400 && headers.location) {
    return told(`${status}: it is at ${quoted(shownUrl(headers.location), MAX_WORDS)}`);
  }
  const said = (await beginning(response)).trimStart();
  const line = headers["content-type"]?.startsWith("application/json") ? errorIn(said) : firstLine(said);
  return told(line ? `${status}: ${quoted(line, MAX_WORDS)}` : status);
}

/** The first line of a text; that of an HTML page says nothing. */
function firstLine(said: string): string {
  return said.startsWith("<") ? "" : said.split("\n", 1)[0]!.trim();
}

function errorIn(said: string): string {
  try {
    const { error } = JSON.parse(said);
    return typeof error === "string" ? error : "";
  } catch {
    return "";
  }
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
