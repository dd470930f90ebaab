import type { Payload } from "../streams/payload.ts";

export interface ReadOptions {
  /** Gives the read up; the promise rejects. */
  signal?: AbortSignal;
}

export interface WriteOptions {
  /** Settle only when the data is on stable storage (NBD_CMD_FLAG_FUA). Only asked of exports that have `flush`. */
  fua?: boolean;
  signal?: AbortSignal;
}

/** Size constraints, in bytes (proto.md, "Size constraints"). */
export interface BlockSize {
  /** Offsets and lengths must be multiples of it: a power of two, 1 to 65,536. */
  minimum: number;
  /** Requests aligned to it are efficient: a power of two, at least 512. */
  preferred: number;
  /** The longest read or write. */
  maximum: number;
}

/**
 * What NBD exports: `size` bytes that can be read, and perhaps written.
 *
 * Offsets and lengths are numbers of bytes and lie within the export: whoever calls has checked. Calls may run
 * at the same time and settle in any order. They fail with `ExportError`; any other error counts as EIO.
 * Only `size`, `read` and `close` are required; the rest shows in the transmission flags.
 */
export interface Export {
  /** Bytes, at most 2^53 - 1; fixed as long as the export is open. */
  readonly size: number;
  /** Exactly `length` bytes from `offset` on. The payload is the caller's. */
  read(offset: number, length: number, options?: ReadOptions): Promise<Payload>;
  /** Writes all of `data` at `offset`. The data is lent until the promise settles. Absent: read-only. */
  write?(offset: number, data: Uint8Array, options?: WriteOptions): Promise<void>;
  /** Brings every write that has settled to stable storage. Absent where there is nothing to flush. */
  flush?(): Promise<void>;
  readonly blockSize?: BlockSize;
  /** Releases what the export holds. Called once, when nothing is outstanding. */
  close(): Promise<void>;
}

/** An export made of another. It overrides what it changes and passes on the rest. */
export type Filter = (next: Export) => Export;
