export interface ReadOptions {
  /** Cancels the read: the promise rejects. */
  signal?: AbortSignal;
}

export interface WriteOptions {
  /** Settle only when the data is on stable storage (NBD_CMD_FLAG_FUA). Only set for exports that have `flush`. */
  fua?: boolean;
  signal?: AbortSignal;
}

/** Options of TRIM, WRITE_ZEROES and CACHE. Only the export's size limits the length of these. */
export interface RangeOptions {
  /** Settle only when the effect is on stable storage (NBD_CMD_FLAG_FUA). Only set for exports that have `flush`. */
  fua?: boolean;
  signal?: AbortSignal;
}

export interface WriteZeroesOptions extends RangeOptions {
  /** The range must stay allocated (NBD_CMD_FLAG_NO_HOLE). Default false: it may become a hole. */
  noHole?: boolean;
  /** Fail at once with ENOTSUP if it is not faster than writing zeroes (NBD_CMD_FLAG_FAST_ZERO). */
  fast?: boolean;
}

/** A run of bytes of one state (proto.md, "`base:allocation` metadata context"). */
export interface Extent {
  /** Bytes, at least 1. */
  length: number;
  /** Whether no space is allocated for it. */
  hole: boolean;
  /** Whether it reads as zeroes. */
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
 * Offsets and lengths are in bytes. They lie within the export: the caller has checked that. Calls may run at the same time
 * and settle in any order. A call fails by rejecting with an `ExportError`; any other error counts as EIO. Only `size`,
 * `read` and `close` are required. The transmission flags tell clients which of the others are there.
 */
export interface Export {
  /** In bytes, at most 2^53 - 1. It does not change while the export is open. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes at `offset`. The caller may keep the bytes but not write to them: others may have them too.
   * The bytes may be lent (`lend`), and the last holder may give them back. So a caller that keeps them and also passes them
   * on must pass on a `subarray`, which is not lent.
   */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array>;
  /** Writes all of `data` at `offset`. The export may use `data` until the promise settles. Absent: read-only. */
  write?(offset: number, data: Uint8Array, options?: WriteOptions): Promise<void>;
  /** Brings all writes that have settled to stable storage, from whichever client. Absent: there is nothing to flush. */
  flush?(): Promise<void>;
  /** Discards the content of the range. It may read as anything afterwards. */
  trim?(offset: number, length: number, options?: RangeOptions): Promise<void>;
  /** Makes the range read as zeroes. Absent: zeroes are written with `write`. */
  writeZeroes?(offset: number, length: number, options?: WriteZeroesOptions): Promise<void>;
  /** A hint that the range will be read soon. */
  cache?(offset: number, length: number, options?: Pick<RangeOptions, "signal">): Promise<void>;
  /**
   * The extents from `offset` on, in order, for BLOCK_STATUS: at least one, and together at most `length` bytes. Absent:
   * everything counts as data.
   */
  extents?(offset: number, length: number, options?: Pick<RangeOptions, "signal">): Promise<Extent[]>;
  /**
   * The extents as far as they are known, or quickly found out; what is unknown counts as data. Each READ waits for this call,
   * and does not read what it reports as zeroes, so that must be true at the time of the call. Absent: they are not quickly
   * found out, as with an export that is far away. A filter that changes what is read must change this too, or leave it out.
   */
  knownExtents?(offset: number, length: number): Extent[] | Promise<Extent[]>;
  readonly blockSize?: BlockSize;
  /** Releases what the export holds. Called once. Calls that are outstanding may fail. */
  close(): Promise<void>;
}

/**
 * Makes an export of another one. It overrides what it changes and passes on the rest.
 * @typeParam More what the new export has besides, as what `await using` closes
 */
export type Filter<More = unknown> = (next: Export) => Export & More;
