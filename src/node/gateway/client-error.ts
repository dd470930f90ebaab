import type { Duplex } from "node:stream";
import type { Refusal } from "./admission.ts";

/** The error that Node reports if it cannot parse a request, or if a request takes too long. */
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

/** How to refuse such a request; undefined if nobody waits for an answer. */
export function refusalOf({ code = "", rawPacket }: ClientError, socket: Duplex): Refusal | undefined {
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
