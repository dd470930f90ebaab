import type { FileHandle } from "node:fs/promises";
import { getSystemErrorName } from "node:util";
import type { Extent } from "../export/export.ts";
import { loadKoffi } from "./koffi.ts";

/** The numbers of Linux that are needed here (lseek(2), fallocate(2)). */
const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ENXIO = 6;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const ZERO_RANGE = 16;

/** More extents than this are not looked for at a time: each takes two system calls. */
const MAX_EXTENTS = 1 << 10;

/** What fallocate(2) says of a file system, or a range, that it has no such operation for. */
const UNSUPPORTED = new Set(["EOPNOTSUPP", "ENOSYS", "EINVAL"]);

/** Whether a range could not be changed as a whole, for no fault of its own. */
export const isUnsupported = (error: NodeJS.ErrnoException) => UNSUPPORTED.has(error.code ?? "");

/** What a file knows, and can do, of its ranges without reading or writing them. */
export interface FileRanges {
  /**
   * The extents of a range, in order, as many as are found in reasonable time.
   * @param quick say "data" of what was data when it was last looked at
   */
  extents(offset: number, length: number, quick: boolean): Extent[];
  /** Makes a hole of a range. Rejects with an error whose `code` is the errno's name. */
  punchHole(offset: number, length: number): Promise<void>;
  /** Makes a range zeroes that are allocated. Rejects as `punchHole` does. */
  zeroRange(offset: number, length: number): Promise<void>;
}

interface Calls {
  /** The new offset, or the errno below zero. */
  lseek(fd: number, offset: number, whence: number): number;
  fallocate(fd: number, mode: number, offset: number, length: number): Promise<void>;
}

let loaded: Promise<Calls> | undefined;

async function load(): Promise<Calls> {
  const koffi = await loadKoffi();
  const library = koffi.load(null);
  const lseek = library.func("int64_t lseek64(int fd, int64_t offset, int whence)");
  const fallocate = library.func("int fallocate64(int fd, int mode, int64_t offset, int64_t length)");
  return {
    lseek(fd, offset, whence) {
      const result = Number(lseek(fd, offset, whence));
      return result < 0 ? -koffi.errno() : result;
    },
    // In a thread of its own: it may take a while.
    fallocate: (fd, mode, offset, length) =>
      new Promise((resolve, reject) => {
        fallocate.async(fd, mode, offset, length, (error: Error | null, result: number) => {
          if (error) return reject(error);
          if (result === 0) return resolve();
          const code = getSystemErrorName(-koffi.errno());
          reject(Object.assign(new Error(`fallocate failed: ${code}`), { code }));
        });
      }),
  };
}

/**
 * The ranges of a file or block device.
 * @throws Error where the package koffi, or the C library's 64-bit calls, are absent
 */
export async function fileRanges({ fd }: Pick<FileHandle, "fd">): Promise<FileRanges> {
  loaded ??= load();
  const { lseek, fallocate } = await loaded;
  /** Data that was found last. What has become a hole since may be called data still; the other way round would be wrong. */
  let data = { from: 0, to: 0 };
  /** One at a time: the file system does no more at once, and threads are few. */
  let last: Promise<unknown> = Promise.resolve();
  function inTurn(mode: number, offset: number, length: number): Promise<void> {
    const work = () => fallocate(fd, mode, offset, length);
    const result = last.then(work, work);
    last = result;
    return result;
  }

  /** The next data from an offset on. Whatever is before it is a hole. */
  function nextData(at: number, end: number): { from: number; to: number } {
    const from = lseek(fd, at, SEEK_DATA);
    if (from >= 0) return { from, to: lseek(fd, from, SEEK_HOLE) };
    if (from !== -ENXIO) return { from: at, to: end };
    // There is none. But beyond its end, a file that has become shorter has no hole either: reading fails there.
    return { from: Math.max(lseek(fd, 0, SEEK_END), at), to: end };
  }

  return {
    extents(offset, length, quick) {
      const end = offset + length;
      if (quick && data.from <= offset && end <= data.to) return [{ length, hole: false, zero: false }];
      const found: Extent[] = [];
      for (let at = offset; at < end && found.length < MAX_EXTENTS; ) {
        const next = nextData(at, end);
        const [from, to] = [Math.min(next.from, end), Math.min(next.to, end)];
        if (from > at) found.push({ length: from - at, hole: true, zero: true });
        if (to <= from) break;
        found.push({ length: to - from, hole: false, zero: false });
        data = next;
        at = to;
      }
      return found;
    },
    punchHole: (offset, length) => inTurn(PUNCH_HOLE | KEEP_SIZE, offset, length),
    zeroRange: (offset, length) => inTurn(ZERO_RANGE | KEEP_SIZE, offset, length),
  };
}
