import type { createConnection, Socket } from "node:net";
import { WebSocket } from "ws";
import { LONGEST_MESSAGE } from "../nbd/constants.ts";
import { checkAmount, checkType, LONGEST_TIMER } from "../streams/check.ts";
import { deadline } from "../streams/deadline.ts";
import type { Transport } from "../streams/duplex.ts";
import { wordsForOthers } from "../streams/for-others.ts";
import { quoted } from "../streams/quoted.ts";
import { shownUrl } from "../transport/shown-url.ts";
import {
  checkMaxMessage,
  WebSocketError,
  type WebSocketTransportOptions,
  webSocket,
} from "../transport/websocket.ts";
import { AnswerError, connectError, refusal } from "./connect-error.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { isLoopbackUrl } from "./loopback.ts";
import { checkTrust, isTls, openTls, type Trust } from "./tls-connection.ts";

/** Milliseconds that a relay is given to answer the WebSocket's handshake. */
const HANDSHAKE_TIME = 30_000;

/** A WebSocket of the package `ws`, and the transport over it. */
export interface SocketLink {
  socket: WebSocket;
  transport: Transport;
}

/** `connect`, with the WebSocket beside the transport, for those who look at it: its class is not for a public declaration. */
export function connectSocket(
  endpoint: string,
  options: ConnectOptions & Pick<WebSocketTransportOptions, "remedy"> = {},
): SocketLink {
  const { origin, token, takeOver, handshakeTime = HANDSHAKE_TIME, maxMessage, remedy, ...trust } = options;
  checkAmount(handshakeTime, "handshakeTime, in milliseconds,", 0, LONGEST_TIMER);
  // Before there is a WebSocket that would have to be ended.
  if (maxMessage !== undefined) checkMaxMessage(maxMessage);
  const url = webSocketUrl(endpoint);
  if (origin && /[^\x20-\x7e]/.test(origin)) {
    throw new TypeError(`the origin must have printable characters of ASCII only, not ${quoted(origin)}`);
  }
  checkTrust(trust, url.protocol);
  if (token !== undefined) checkToken(token, url, trust);
  const isSecure = isTls(url.protocol);
  const ending = new AbortController();
  const socket = new WebSocket(url, {
    perMessageDeflate: false,
    // A relay sends a request in a message, others parts of one.
    maxPayload: LONGEST_MESSAGE,
    headers: {
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...(takeOver && { "Nbd-Take-Over": "1" }),
    },
    ...(origin && { origin }),
    ...(isUnseen(url) && { generateMask: noMask }),
    ...(isSecure && { createConnection: opener(url, trust, ending.signal) }),
  });
  const transport = webSocket(socket, {
    wordsFor: wordsForOthers,
    maxMessage,
    remedy,
    explain: (error) => connectError(error, url.protocol),
  });
  // The timer of `ws` would judge before it has read what came while this process was stopped.
  const callOff = deadline(handshakeTime, () =>
    transport.close(new WebSocketError("the server did not answer")),
  );
  for (const event of ["open", "unexpected-response", "close"] as const) socket.once(event, callOff);
  socket.once("close", () => ending.abort());
  socket.once("unexpected-response", (_request, response) => {
    void refusal(response).then((error) =>
      transport.close(response.statusCode === 401 && token === undefined ? withoutLogin(error, url) : error),
    );
  });
  return { socket, transport };
}

function checkToken(token: string, url: URL, { insecure }: Trust): void {
  checkType(token, "the token", "string");
  const shown = shownUrl(url);
  if (!/^[\w.~+/-]+=*$/.test(token)) throw new TypeError("a header cannot carry the token");
  if (url.username || url.password) {
    throw new TypeError(`${shown}: a user and a password cannot be sent beside a token`);
  }
  if (insecure) throw new TypeError(`${shown}: insecure would give the token to anybody who answers`);
  if (!isUnseen(url)) {
    throw new TypeError(`${shown}: others on the way could read the token; use wss://, or a tunnel of ssh`);
  }
}

/** Says which URL logs in, in place of this one. */
function withoutLogin({ message, status }: AnswerError, url: URL): WebSocketError {
  const other = shownUrl(url.href.replace(/^ws/, "http"));
  const words = `${message}; if it is an nbd-gateway, use the URL that it prints, or ${other}`;
  return new AnswerError(words, { status });
}

/** Makes a connection whose certificate is checked before the request is sent on it. */
function opener(url: URL, trust: Trust, signal: AbortSignal): typeof createConnection {
  // Node also takes the socket later, by a callback, of which the type knows nothing.
  return ((_options: unknown, done: (error: unknown, socket?: Socket) => void) => {
    openTls(url, trust, signal).then((socket) => done(null, socket), done);
  }) as unknown as typeof createConnection;
}

/**
 * The URL of a WebSocket.
 * @throws TypeError, RangeError in words, when it is none
 */
export function webSocketUrl(endpoint: string): URL {
  const port = /^wss?:\/\/[^/?#]*:(\d+)(?:[/?#]|$)/i.exec(endpoint)?.[1];
  if (port !== undefined && !(Number(port) >= 1 && Number(port) <= 65535)) {
    throw new RangeError(`${shownUrl(endpoint)}: ${port} is not a valid port`);
  }
  if (!/^wss?:\/\//i.test(endpoint) || !URL.canParse(endpoint)) {
    const hint = /^https?:/i.test(endpoint) ? `; try ${shownUrl(endpoint.replace(/^http/i, "ws"))}` : "";
    throw new TypeError(`"${shownUrl(endpoint)}" is not a ws:// or wss:// URL${hint}`);
  }
  const url = new URL(endpoint);
  if (url.hash) throw new TypeError(`"${shownUrl(endpoint)}": the URL of a WebSocket has no "#…" at its end`);
  return url;
}

/**
 * Whether no proxy can see what is sent. A client masks what it sends with unpredictable keys, so that no proxy takes a message
 * for an HTTP request (RFC 6455, section 10.3). On this machine there are no proxies, and none looks into TLS.
 */
export function isUnseen(url: URL): boolean {
  return isTls(url.protocol) || isLoopbackUrl(url);
}

/**
 * A key of zeroes leaves the bytes as they are. So the sender needs no copy, and neither side has to mask
 * (test/bench/README.md, "Masking with zeroes").
 */
function noMask(key: Uint8Array): void {
  key.fill(0);
}
