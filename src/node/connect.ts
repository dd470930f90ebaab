import { WebSocket } from "ws";
import { LONGEST_MESSAGE } from "../nbd/constants.ts";
import { checkAmount, LONGEST_TIMER } from "../streams/check.ts";
import { deadline } from "../streams/deadline.ts";
import type { Transport } from "../streams/duplex.ts";
import { wordsForOthers } from "../streams/for-others.ts";
import { quoted } from "../streams/quoted.ts";
import { shownUrl } from "../transport/shown-url.ts";
import { WebSocketError, webSocket } from "../transport/websocket.ts";
import { connectError, refusal } from "./connect-error.ts";
import { isLoopback } from "./loopback.ts";

/** Milliseconds that a relay is given to answer the WebSocket's handshake. */
const HANDSHAKE_TIME = 30_000;

export interface ConnectOptions {
  /** The Origin header to send. Default: none. */
  origin?: string;
  /** Milliseconds that the server is given to answer the WebSocket's handshake. Default 30 s. */
  handshakeTime?: number;
}

/**
 * Connects to a WebSocket server from Node. The transport can be used at once. If connecting fails later, the transport fails
 * with a WebSocketError that says why.
 * @throws TypeError if the endpoint is not a ws:// or wss:// URL, or has a fragment, or if a header cannot carry the origin
 * @throws RangeError if its port is not 1 to 65535
 */
export function connect(endpoint: string, options: ConnectOptions = {}): Transport {
  const { origin, handshakeTime = HANDSHAKE_TIME } = options;
  checkAmount(handshakeTime, "handshakeTime, in milliseconds,", 0, LONGEST_TIMER);
  const url = webSocketUrl(endpoint);
  if (origin && /[^\x20-\x7e]/.test(origin)) {
    throw new TypeError(`the origin must have printable characters of ASCII only, not ${quoted(origin)}`);
  }
  const socket = new WebSocket(url, {
    perMessageDeflate: false,
    // A relay sends a request in a message, others parts of one.
    maxPayload: LONGEST_MESSAGE,
    ...(origin && { origin }),
    ...(isUnseen(url) && { generateMask: noMask }),
  });
  const transport = webSocket(socket, {
    wordsFor: wordsForOthers,
    explain: (error) => connectError(error, url.protocol === "wss:"),
  });
  // The timer of `ws` would judge before it has read what came while this process was stopped.
  const callOff = deadline(handshakeTime, () =>
    transport.close(new WebSocketError("the server did not answer")),
  );
  for (const event of ["open", "unexpected-response", "close"] as const) socket.once(event, callOff);
  socket.once("unexpected-response", (_request, response) => {
    void refusal(response).then((error) => transport.close(error));
  });
  return transport;
}

function webSocketUrl(endpoint: string): URL {
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
export function isUnseen({ protocol, hostname }: URL): boolean {
  return protocol === "wss:" || isLoopback(hostname.replace(/^\[(.*)\]$/, "$1"));
}

/**
 * A key of zeroes leaves the bytes as they are. So the sender needs no copy, and neither side has to mask
 * (test/bench/README.md, "Masking with zeroes").
 */
function noMask(key: Uint8Array): void {
  key.fill(0);
}
