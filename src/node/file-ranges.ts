import type { FileHandle } from "node:fs/promises";
import { constants } from "node:os";
import type { KoffiFunc } from "koffi";
import type { Extent } from "../export/export.ts";
import { KnownData, type Range } from "./known-data.ts";
import { loadKoffi } from "./koffi.ts";
import { SystemCallError } from "./system-call-error.ts";

/** The numbers of Linux that are needed here (lseek(2), fallocate(2)). */
const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ALLOCATE = 0;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const ZERO_RANGE = 16;
const { ENXIO } = constants.errno;

/** How many extents are looked for at a time, for who asks for them and for a read. Each takes two system calls. */
const MOST_EXTENTS = 1 << 10;
const MOST_OF_READ = 1 << 6;

/**
 * Milliseconds after which having looked in vain counts as slow. After so many in a row that were, nobody looks for so many
 * times as long as the last one took.
 */
const SLOW = 5;
const SLOW_IN_A_ROW = 4;
const REST = 10;

/** Bytes that are changed in one system call. Others who wait get their turn after it. */
const PIECE = 1 << 27;

/** What a file knows, and can do, of its ranges without reading or writing them. */
export interface FileRanges {
  /** The extents of a range as they are now, in order, as many as are found in reasonable time. */
  extents(offset: number, length: number): Promise<Extent[]>;
  /**
   * As `extents`, for a read that waits for it. What was data may be called data still, which is known at once. A hole is
   * never remembered, as somebody else may write there.
   */
  knownExtents(offset: number, length: number): Extent[] | Promise<Extent[]>;
  /** Makes a hole of a range. Rejects with SystemCallError, as the others do. */
  punchHole(offset: number, length: number): Promise<void>;
  /** Makes a range zeroes that are allocated. */
  zeroRange(offset: number, length: number): Promise<void>;
  /** Allocates what of a range is a hole. It reads as before. */
  allocate(offset: number, length: number): Promise<void>;
}

/** System calls in threads: the file system may have to wait for a disk, for another machine, or for who writes. */
export interface RangeCalls {
  /** The new offset, or the errno below zero. */
  lseek(fd: number, offset: number, whence: number): Promise<number>;
  fallocate(fd: number, mode: number, offset: number, length: number): Promise<void>;
}

let loaded: Promise<RangeCalls> | undefined;

async function load(): Promise<RangeCalls> {
  const koffi = await loadKoffi();
  const library = koffi.load(null);
  const lseek = library.func("int64_t lseek64(int fd, int64_t offset, int whence)");
  const fallocate = library.func("int fallocate64(int fd, int mode, int64_t offset, int64_t length)");
  /** What a call returns, or the errno below zero. */
  const inThread = (f: KoffiFunc<(...args: never[]) => number>, args: readonly number[]): Promise<number> =>
    new Promise((resolve, reject) => {
      f.async(...(args as never[]), (error: Error | null, result: number | bigint) => {
        if (error) reject(error);
        else resolve(result < 0 ? -koffi.errno() : Number(result));
      });
    });
  return {
    lseek: (fd, offset, whence) => inThread(lseek, [fd, offset, whence]),
    async fallocate(fd, mode, offset, length) {
      const result = await inThread(fallocate, [fd, mode, offset, length]);
      if (result < 0) throw new SystemCallError("fallocate", -result);
    },
  };
}

function systemCalls(): Promise<RangeCalls> {
  loaded ??= load();
  return loaded;
}

/**
 * The ranges of a file or block device.
 * @throws Error where the package koffi, or the C library's 64-bit calls, are absent
 */
export async function fileRanges(
  file: Pick<FileHandle, "fd">,
  calls: RangeCalls | Promise<RangeCalls> = systemCalls(),
): Promise<FileRanges> {
  const { lseek, fallocate } = await calls;
  const known = new KnownData();
  let slowInARow = 0;
  let restUntil = 0;

  /** The next data from an offset on. Whatever is before it is a hole. */
  async function nextData(at: number, end: number): Promise<Range> {
    const from = await lseek(file.fd, at, SEEK_DATA);
    if (from >= 0) return { from, to: await lseek(file.fd, from, SEEK_HOLE) };
    if (from !== -ENXIO) return { from: at, to: end };
    // There is none. But beyond its end, a file that has become shorter has no hole either: reading fails there.
    return { from: Math.max(await lseek(file.fd, 0, SEEK_END), at), to: end };
  }

  async function find(offset: number, end: number, most: number): Promise<Extent[]> {
    const found: Extent[] = [];
    for (let at = offset; at < end && found.length < most; ) {
      const next = await nextData(at, end);
      const [from, to] = [Math.min(next.from, end), Math.min(next.to, end)];
      if (from > at) found.push({ length: from - at, hole: true, zero: true });
      known.remove(at, from);
      if (to <= from) break;
      found.push({ length: to - from, hole: false, zero: false });
      known.add(next.from, next.to);
      at = to;
    }
    return found;
  }

  /** Where looking is slow and finds data all the same, as in many large ranges of a tmpfs, most reads do without. */
  async function findForRead(offset: number, end: number): Promise<Extent[]> {
    const begun = performance.now();
    const found = await find(offset, end, MOST_OF_READ);
    const taken = performance.now() - begun;
    slowInARow = taken >= SLOW && found.every(({ hole }) => !hole) ? slowInARow + 1 : 0;
    if (slowInARow >= SLOW_IN_A_ROW) restUntil = performance.now() + taken * REST;
    return found;
  }

  /** One at a time: the file system does no more at once, and threads are few. */
  let last: Promise<unknown> = Promise.resolve();
  function inTurn(mode: number, offset: number, length: number): Promise<void> {
    const work = () => fallocate(file.fd, mode, offset, length);
    const result = last.then(work, work);
    last = result;
    return result;
  }

  async function inPieces(mode: number, offset: number, length: number): Promise<void> {
    const end = offset + length;
    for (let at = offset; at < end; at += PIECE) await inTurn(mode, at, Math.min(PIECE, end - at));
  }

  return {
    extents: (offset, length) => find(offset, offset + length, MOST_EXTENTS),
    knownExtents(offset, length) {
      const end = offset + length;
      if (known.covers(offset, end) || performance.now() < restUntil)
        return [{ length, hole: false, zero: false }];
      return findForRead(offset, end);
    },
    async punchHole(offset, length) {
      await inPieces(PUNCH_HOLE | KEEP_SIZE, offset, length);
      known.remove(offset, offset + length);
    },
    zeroRange: (offset, length) => inPieces(ZERO_RANGE | KEEP_SIZE, offset, length),
    allocate: (offset, length) => inPieces(ALLOCATE | KEEP_SIZE, offset, length),
  };
}
