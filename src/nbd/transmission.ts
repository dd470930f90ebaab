import type { Errno } from "../export/error.ts";
import type { BlockSize, Extent } from "../export/export.ts";
import type { Request } from "./messages.ts";

/** The result of the handshake, on which the transmission phase depends. */
export interface Negotiated {
  /** The export's size in bytes. */
  size: number;
  /** Transmission flags, `TransmissionFlag`. */
  flags: number;
  /** Size constraints; absent: the protocol's defaults, 1, 4096 and 32 MiB. */
  blockSize?: BlockSize;
  /** The layout of replies, and with "extended" of requests too. Absent: compact requests and simple replies. */
  headers?: "structured" | "extended";
  /** The id of the metadata context `base:allocation`, if it was selected. */
  allocation?: number;
  /** Whether the server knows only the oldest way to negotiate, NBD_OPT_EXPORT_NAME. */
  exportNameOnly?: boolean;
}

/** A request of the transmission phase, with the payload of a WRITE. */
export interface NbdRequest extends Request {
  /** The data of a WRITE. It may be a view into a chunk that arrived. */
  payload?: Uint8Array;
  /** The ids of the metadata contexts that a BLOCK_STATUS with a payload asks for. Absent: all that were selected. */
  contexts?: readonly number[];
  /** The exact offset if it is beyond 2^53; `offset` is rounded then. */
  exactOffset?: bigint;
  /** How many bytes the parser has taken room for. The handler of the request releases them. */
  held?: number;
  /** The error if the parser refused the request, and skipped its payload. */
  refused?: Errno;
}

/** A part of the data of a READ: bytes, or a number of zeroes. */
export type Piece = Uint8Array | number;

/** The content of a successful reply. At most one of the three is set. */
export interface ReplyContent {
  /** The data of a READ. */
  payload?: Uint8Array;
  /** The data of a READ in pieces, in order. This needs structured replies. */
  pieces?: readonly Piece[];
  /** The extents for a BLOCK_STATUS, from the offset of the request on. */
  extents?: readonly Extent[];
}

/** A reply of the transmission phase. */
export interface NbdReply extends ReplyContent {
  cookie: bigint;
  /** An errno, or 0. */
  error: number;
  /** The offset of the request, which structured and extended replies repeat. */
  offset?: number | bigint;
  /** An error message for people. */
  message?: string;
  /** Where in the export the error occurred. */
  errorOffset?: number;
}
