export interface ReadOptions {
  /** Gives the read up; the promise rejects. */
  signal?: AbortSignal;
}

export interface WriteOptions {
  /** Settle only when the data is on stable storage (NBD_CMD_FLAG_FUA). Only asked of exports that have `flush`. */
  fua?: boolean;
  signal?: AbortSignal;
}

/** What TRIM, WRITE_ZEROES and CACHE may be told; their lengths have no limit but the export's size. */
export interface RangeOptions {
  /** Settle only when the effect is on stable storage (NBD_CMD_FLAG_FUA). Only asked of exports that have `flush`. */
  fua?: boolean;
  signal?: AbortSignal;
}

export interface WriteZeroesOptions extends RangeOptions {
  /** The range must stay allocated (NBD_CMD_FLAG_NO_HOLE). Default false: it may become a hole. */
  noHole?: boolean;
  /** Fail at once with ENOTSUP unless it is faster than writing the zeroes (NBD_CMD_FLAG_FAST_ZERO). */
  fast?: boolean;
}

/** A run of bytes of one state (proto.md, "`base:allocation` metadata context"). */
export interface Extent {
  /** Bytes, at least 1. */
  length: number;
  /** No space is allocated for it. */
  hole: boolean;
  /** It reads as zeroes. */
  zero: boolean;
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
 * at the same time and settle in any order. They fail with `ExportError`, by rejecting; any other error counts as EIO.
 * Only `size`, `read` and `close` are required; the rest shows in the transmission flags.
 */
export interface Export {
  /** Bytes, at most 2^53 - 1; fixed as long as the export is open. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset` on. The payload is the caller's to keep and not to write to: others may have been
   * given the same bytes. It may be lent (`lend`), so who keeps it and passes it on passes on a `subarray`: the last to have
   * it may give it back.
   */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array>;
  /** Writes all of `data` at `offset`. The data is lent until the promise settles. Absent: read-only. */
  write?(offset: number, data: Uint8Array, options?: WriteOptions): Promise<void>;
  /** Brings everything that has settled to stable storage, whoever wrote it. Absent where there is nothing to flush. */
  flush?(): Promise<void>;
  /** The range's content is of no use any more; what it reads as afterwards is open. */
  trim?(offset: number, length: number, options?: RangeOptions): Promise<void>;
  /** Makes the range read as zeroes. Absent: `write` is given zeroes. */
  writeZeroes?(offset: number, length: number, options?: WriteZeroesOptions): Promise<void>;
  /** The range will be read soon: a hint. */
  cache?(offset: number, length: number, options?: Pick<RangeOptions, "signal">): Promise<void>;
  /**
   * The states of the range from `offset` on, in order: at least one extent; together they may cover less than
   * `length`, never more. Absent: nothing is known, all counts as data. It answers BLOCK_STATUS; a READ asks `knownExtents`.
   */
  extents?(offset: number, length: number, options?: Pick<RangeOptions, "signal">): Promise<Extent[]>;
  /**
   * What is known of the extents, at once or soon; what is not known counts as data. Asked before each read, which waits for
   * it, and zeroes that it tells are not read: they must be so while it is asked. Absent where that is not known so soon, as
   * of an export that is far away; a filter that changes what is read has to change this too, or to drop it.
   */
  knownExtents?(offset: number, length: number): Extent[] | Promise<Extent[]>;
  readonly blockSize?: BlockSize;
  /** Releases what the export holds. Called once, when nothing is outstanding. */
  close(): Promise<void>;
}

/** An export made of another. It overrides what it changes and passes on the rest. */
export type Filter = (next: Export) => Export;
