import type { Errno } from "../export/error.ts";
import type { BlockSize, Extent } from "../export/export.ts";
import type { Request } from "./messages.ts";

/** What the handshake settled: all that the transmission phase depends on. */
export interface Negotiated {
  /** The export's size in bytes. */
  size: number;
  /** Transmission flags, `TransmissionFlag`. */
  flags: number;
  /** Size constraints; absent: the protocol's defaults, 1, 4096 and 32 MiB. */
  blockSize?: BlockSize;
  /** How replies, and with "extended" requests too, are laid out; absent: compact requests and simple replies. */
  headers?: "structured" | "extended";
  /** The id of the metadata context `base:allocation`, where it was selected. */
  allocation?: number;
  /** The server speaks only the first generation's way of negotiating, NBD_OPT_EXPORT_NAME. */
  exportNameOnly?: boolean;
}

/** A request of the transmission phase, with the payload of a WRITE. */
export interface NbdRequest extends Request {
  /** The data of a WRITE. It may be a view into what arrived. */
  payload?: Uint8Array;
  /** The metadata contexts that a BLOCK_STATUS with a payload asks for; absent: all that were selected. */
  contexts?: readonly number[];
  /** The offset to the bit, where it is beyond 2^53; `offset` is about it. */
  exactOffset?: bigint;
  /** Bytes that the parser has taken room for; who deals with the request releases them. */
  held?: number;
  /** Why the parser refused the request; its payload was skipped. */
  refused?: Errno;
}

/** A part of what was read: data, or a number of bytes that read as zeroes. */
export type Piece = Uint8Array | number;

/** What a successful reply carries. At most one of the three is there. */
export interface ReplyContent {
  /** The data of a READ. */
  payload?: Uint8Array;
  /** The data of a READ in several pieces, in order; it needs structured replies. */
  pieces?: readonly Piece[];
  /** The answer to a BLOCK_STATUS, from the request's offset on. */
  extents?: readonly Extent[];
}

/** A reply of the transmission phase. */
export interface NbdReply extends ReplyContent {
  cookie: bigint;
  /** 0, or the errno. */
  error: number;
  /** The offset of the request, which structured and extended replies tell again. */
  offset?: number | bigint;
  /** Words for people about an error. */
  message?: string;
  /** Where in the export the error occurred. */
  errorOffset?: number;
}
