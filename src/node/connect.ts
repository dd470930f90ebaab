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
 * Connects to a WebSocket server, as what is not a browser. The transport can be used at once; what fails later,
 * fails it, with a WebSocketError that says why in words.
 * @throws TypeError when the endpoint is not a ws:// or wss:// URL, or has a fragment, or no header can have the origin
 * @throws RangeError when its port is not 1 to 65535
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
 * Whether no proxy can see what is sent. A client masks what it sends, with a key that cannot be foreseen, for the sake
 * of proxies which would take a message for a request of its own (RFC 6455, section 10.3). On this machine there are
 * none, and none looks into TLS.
 */
export function isUnseen({ protocol, hostname }: URL): boolean {
  return protocol === "wss:" || isLoopback(hostname.replace(/^\[(.*)\]$/, "$1"));
}

/**
 * With a key of zeroes neither side has anything to do: twice the throughput, and half the memory that waits to be
 * collected at the sender, where a masked message is a copy.
 */
function noMask(key: Uint8Array): void {
  key.fill(0);
}
