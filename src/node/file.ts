import { constants } from "node:fs";
import { type FileHandle, open, readFile } from "node:fs/promises";
import { Errno, ExportError } from "../export/error.ts";
import type { Export, WriteOptions } from "../export/export.ts";
import { writeZeroesPiecewise } from "../export/zeroes.ts";
import { checkMethods } from "../streams/check.ts";
import { ReusedMemory } from "../streams/reused-memory.ts";
import { type FileRanges, fileRanges, isUnsupported } from "./file-ranges.ts";
import { pageCache } from "./page-cache.ts";

export interface FileExportOptions {
  /** Whether the export can be written to. The handle must have been opened so. Default false. */
  writable?: boolean;
}

/** Reads of so many bytes go into memory of earlier ones that has left. */
const LONG = 1 << 16;

/** Bytes of memory that are kept for that. */
const SPARE = 1 << 22;

/**
 * Exports an open file or block device. The handle belongs to the export and is closed with it.
 *
 * A flush is fdatasync(2), and FUA is a flush behind what it goes with. After a flush has failed all do, as the system
 * forgets what it could not write. Reading beyond the end of a file that has become shorter fails with EIO.
 *
 * With the package koffi it knows the file's holes, makes holes where the file system can, and reads what is in memory
 * without a thread. Without it nothing but that is missing.
 */
export async function fileExport(
  handle: FileHandle,
  { writable = false }: FileExportOptions = {},
): Promise<Export> {
  checkMethods(handle, "the handle", "a FileHandle", ["stat", "datasync"]);
  const size = await sizeOf(handle);
  const ranges = await fileRanges(handle).catch(() => undefined);
  const memory = new ReusedMemory(SPARE);
  const cached = await pageCache(handle).catch(() => undefined);
  const readable: Export = {
    size,
    async read(offset, length, { signal } = {}) {
      // All of it is read or the read fails, so what was in it does not matter.
      const buffer =
        length >= LONG
          ? memory.lend(memory.take(length))
          : new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
      signal?.throwIfAborted();
      // Handing reads to the thread pool was two fifths of nbd-serve's own time at 4 KiB, a quarter at 256 KiB.
      const atOnce = Math.max(0, cached?.read(buffer, offset) ?? 0);
      if (atOnce === length) return buffer;
      for (let at = atOnce; at < length; ) {
        signal?.throwIfAborted();
        const { bytesRead } = await handle
          .read(buffer, at, length - at, offset + at)
          .catch(failAt(offset + at));
        if (bytesRead === 0) {
          const ended = offset + at;
          throw new ExportError(Errno.EIO, `the file ended at ${ended}: it has become shorter`, {
            offset: ended,
          });
        }
        at += bytesRead;
      }
      await together();
      return buffer;
    },
    close: () => handle.close(),
    ...(ranges && {
      extents: async (offset, length) => ranges.extents(offset, length, false),
      knownExtents: (offset, length) => ranges.extents(offset, length, true),
    }),
  };
  if (!writable) return readable;

  let lost: { error: unknown } | undefined;
  async function flush() {
    if (lost) throw lost.error;
    await handle.datasync().catch((cause) => {
      lost = {
        error: new ExportError(Errno.EIO, "what was written earlier could not be brought to the disk", {
          cause,
        }),
      };
      return fail(cause);
    });
  }
  async function write(offset: number, data: Uint8Array, { fua = false, signal }: WriteOptions = {}) {
    for (let at = 0; at < data.byteLength; ) {
      signal?.throwIfAborted();
      const { bytesWritten } = await handle
        .write(data, at, data.byteLength - at, offset + at)
        .catch(failAt(offset + at));
      at += bytesWritten;
    }
    if (fua) await flush();
  }
  return { ...readable, flush, write, ...(ranges && (await holes(ranges, size, { write, flush }))) };
}

/** TRIM and WRITE_ZEROES, where the file system can make holes. */
async function holes(
  ranges: FileRanges,
  size: number,
  target: Required<Pick<Export, "write" | "flush">>,
): Promise<Pick<Export, "trim" | "writeZeroes">> {
  // Asked of a byte beyond the end, which changes nothing.
  const cannot = await ranges.punchHole(size, 1).then(
    () => false,
    ({ code }: NodeJS.ErrnoException) => code === "EOPNOTSUPP",
  );
  if (cannot) return {};
  return {
    async trim(offset, length, { fua = false } = {}) {
      // A range that can't be discarded, as one that is not aligned, may stay as it is.
      await ranges.punchHole(offset, length).catch(unlessUnsupported);
      if (fua) await target.flush();
    },
    async writeZeroes(offset, length, options = {}) {
      try {
        await (options.noHole ? ranges.zeroRange : ranges.punchHole)(offset, length);
      } catch (error) {
        unlessUnsupported(error as NodeJS.ErrnoException);
        return writeZeroesPiecewise(target, offset, length, options);
      }
      if (options.fua) await target.flush();
    },
  };
}

function unlessUnsupported(error: NodeJS.ErrnoException): void {
  if (!isUnsupported(error)) fail(error);
}

/**
 * Opens a file or block device and exports it.
 * @throws the error of open(2), or Error when it is neither a file nor a block device
 */
export async function openFileExport(path: string, options: FileExportOptions = {}): Promise<Export> {
  const handle = await open(path, options.writable ? constants.O_RDWR : constants.O_RDONLY);
  try {
    return await fileExport(handle, options);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

let turn: Promise<void> | undefined;

/**
 * Waits for the end of this turn of the event loop, so that reads which the thread pool finished in one turn are
 * answered together: a message for many 4 KiB reads instead of one for each, which halves what a read costs.
 */
function together(): Promise<void> {
  turn ??= new Promise((resolve) => {
    setImmediate(() => {
      turn = undefined;
      resolve();
    });
  });
  return turn;
}

async function sizeOf(handle: FileHandle): Promise<number> {
  const stat = await handle.stat();
  if (stat.isFile()) return stat.size;
  if (!stat.isBlockDevice()) throw new Error("it is neither a file nor a block device");
  // stat(2) gives no size for a block device; sysfs gives it in sectors of 512 bytes whatever its block size.
  const [major, minor] = [(stat.rdev >> 8) & 0xfff, (stat.rdev & 0xff) | ((stat.rdev >> 12) & 0xfff00)];
  const sectors = await readFile(`/sys/dev/block/${major}:${minor}/size`, "ascii");
  return Number(sectors) * 512;
}

const errnos: Readonly<Record<string, Errno>> = {
  ENOSPC: Errno.ENOSPC,
  EDQUOT: Errno.ENOSPC,
  EFBIG: Errno.ENOSPC,
  EPERM: Errno.EPERM,
  EACCES: Errno.EPERM,
  EROFS: Errno.EPERM,
  ENOMEM: Errno.ENOMEM,
};

/** The errno of a system call as one that NBD has (proto.md, "Error values"). */
function fail(cause: NodeJS.ErrnoException, offset?: number): never {
  const where = offset === undefined ? {} : { offset };
  throw new ExportError(errnos[cause.code ?? ""] ?? Errno.EIO, cause.message, { cause, ...where });
}

const failAt = (offset: number) => (cause: NodeJS.ErrnoException) => fail(cause, offset);
