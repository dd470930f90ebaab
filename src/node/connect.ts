import { WebSocket } from "ws";
import type { Transport } from "../streams/duplex.ts";
import { wordsForOthers } from "../streams/for-others.ts";
import { webSocket } from "../transport/websocket.ts";
import { isLoopback } from "./loopback.ts";

/** Milliseconds that a relay is given to answer the WebSocket's handshake. */
const HANDSHAKE_TIME = 30_000;

export interface ConnectOptions {
  /** The Origin header to send. Default: none. */
  origin?: string;
}

/**
 * Connects to a WebSocket server, as what is not a browser. The transport can be used at once; what fails later,
 * fails it.
 * @throws Error when the endpoint is no ws:// or wss:// URL
 */
export function connect(endpoint: string, { origin }: ConnectOptions = {}): Transport {
  if (!/^wss?:\/\//.test(endpoint) || !URL.canParse(endpoint)) {
    throw new Error(`"${endpoint}" is no ws:// or wss:// URL, and not "-"`);
  }
  const options = {
    perMessageDeflate: false,
    handshakeTimeout: HANDSHAKE_TIME,
    ...(origin && { origin }),
    ...(isUnseen(new URL(endpoint)) && { generateMask: noMask }),
  };
  return webSocket(new WebSocket(endpoint, options), { wordsFor: wordsForOthers });
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
