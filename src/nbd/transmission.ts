import type { Errno } from "../export/error.ts";
import type { BlockSize } from "../export/export.ts";
import type { Payload } from "../streams/payload.ts";
import type { Request } from "./messages.ts";

/** What the handshake settled: all that the transmission phase depends on. */
export interface Negotiated {
  /** The export's size in bytes. */
  size: number;
  /** Transmission flags, `TransmissionFlag`. */
  flags: number;
  /** Size constraints; absent: the protocol's defaults, 1, 4096 and 32 MiB. */
  blockSize?: BlockSize;
  /** The server speaks only the first generation's way of negotiating, NBD_OPT_EXPORT_NAME. */
  exportNameOnly?: boolean;
}

/** A request of the transmission phase, with the payload of a WRITE. */
export interface NbdRequest extends Request {
  /** The data of a WRITE. It may be a view into what arrived. */
  payload?: Uint8Array;
  /** Bytes that the parser has taken room for; who deals with the request releases them. */
  held?: number;
  /** Why the parser refused the request; its payload was skipped. */
  refused?: Errno;
}

/** A reply of the transmission phase, with the payload of a READ that succeeded. */
export interface NbdReply {
  cookie: bigint;
  /** 0, or the errno. */
  error: number;
  payload?: Payload;
}
