import type { Duplex } from "node:stream";
import type { Refusal } from "./admission.ts";

/** The error that Node reports if it cannot parse a request, if a request takes too long, or if TLS fails. */
export type ClientError = NodeJS.ErrnoException & { rawPacket?: Uint8Array };

/** Errors with a more precise status than 400, and what is told of them. */
const known: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    words: "the headers of the request are too long",
    advice: 'the headers of a request are longer than "max-header-kb" allows',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    words: "the request took too long",
    advice: 'a request took longer than "handshake-timeout" allows',
  },
};

/** The first byte of a TLS connection. */
const TLS_HANDSHAKE = 0x16;

/** The code of the error about a client that speaks HTTP where TLS is spoken. */
export const PLAIN_HTTP = "ERR_SSL_HTTP_REQUEST";

/** How to refuse such a request; undefined if nobody waits for an answer. */
export function refusalOf({ code = "", rawPacket }: ClientError, socket: Duplex): Refusal | undefined {
  if (code === PLAIN_HTTP) {
    const words = "this port speaks HTTPS: use https:// and wss://";
    return { status: 400, words, advice: `the client speaks HTTP, and ${words}` };
  }
  const isGone = !code.startsWith("HPE_") && known[code] === undefined;
  // Browsers open connections in advance, and close them unused.
  if (isGone || (socket as { bytesRead?: number }).bytesRead === 0) return undefined;
  if (known[code]) return known[code];
  const isTls = rawPacket?.[0] === TLS_HANDSHAKE;
  return {
    status: 400,
    words: "this is not an HTTP request",
    advice: isTls
      ? "the client speaks TLS, and this port does not: use http:// and ws://"
      : `what came is not an HTTP request (${code})`,
  };
}
