import type { FileHandle } from "node:fs/promises";
import { Errno, ExportError } from "../export/error.ts";
import type { Export, WriteOptions } from "../export/export.ts";
import { checkMethods } from "../streams/check.ts";
import { type AsyncDisposable, disposable } from "../streams/disposable.ts";
import { spareMemory } from "../streams/reused-memory.ts";
import { fileEffects } from "./file-effects.ts";
import { throwFileError } from "./file-error.ts";
import { fileRanges } from "./file-ranges.ts";
import { mediumOf, openMedium } from "./medium.ts";
import { pageCache } from "./page-cache.ts";

export interface FileExportOptions {
  /** Whether the export can be written to. The handle must have been opened so. Default false. */
  writable?: boolean;
}

/** Reads of at least this many bytes use recycled memory. */
const LONG = 1 << 16;

/**
 * Exports an open file or block device. The handle belongs to the export and is closed with it.
 *
 * A flush is fdatasync(2); FUA is a flush after the write. After one flush has failed all later ones fail, since the system
 * forgets what it could not write. Reading beyond the end of a file that has become shorter fails with EIO.
 *
 * With the optional package koffi it knows the file's holes, makes holes where the file system can, and reads what is in memory
 * without a thread.
 */
export async function fileExport(
  handle: FileHandle,
  { writable = false }: FileExportOptions = {},
): Promise<Export & AsyncDisposable> {
  checkMethods(handle, "the handle", "a FileHandle", ["stat", "datasync"]);
  const medium = await mediumOf(handle);
  const { size } = medium;
  const ranges = await fileRanges(handle).catch(() => undefined);
  const cached = await pageCache(handle).catch(() => undefined);
  const readable = disposable<Export>({
    size,
    async read(offset, length, { signal } = {}) {
      // All of it is read or the read fails, so what was in it does not matter.
      const buffer =
        length >= LONG
          ? spareMemory.lend(spareMemory.take(length))
          : new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
      signal?.throwIfAborted();
      // Without a thread where the bytes are in memory already (test/bench/README.md, "Page cache").
      const atOnce = Math.max(0, cached?.read(buffer, offset) ?? 0);
      if (atOnce === length) return buffer;
      for (let at = atOnce; at < length; ) {
        signal?.throwIfAborted();
        const { bytesRead } = await handle
          .read(buffer, at, length - at, offset + at)
          .catch(throwFileError(offset + at));
        if (bytesRead === 0) {
          const missing = offset + at;
          throw new ExportError(
            Errno.EIO,
            `the file has become shorter: there is nothing at ${missing} any more`,
            { offset: missing },
          );
        }
        at += bytesRead;
      }
      await together();
      return buffer;
    },
    close: () => handle.close(),
    ...(ranges && {
      extents: (offset, length) => ranges.extents(offset, length),
      knownExtents: (offset, length) => ranges.knownExtents(offset, length),
    }),
  });
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
      return throwFileError()(cause);
    });
  }
  async function write(offset: number, data: Uint8Array, { fua = false, signal }: WriteOptions = {}) {
    for (let at = 0; at < data.byteLength; ) {
      signal?.throwIfAborted();
      const { bytesWritten } = await handle
        .write(data, at, data.byteLength - at, offset + at)
        .catch(throwFileError(offset + at));
      at += bytesWritten;
    }
    if (fua) await flush();
  }
  return { ...readable, flush, write, ...(ranges && (await fileEffects(ranges, medium, { write, flush }))) };
}

/** Bytes that are read to see whether a file can be read at all. */
const TRIAL = 4096;

/** An open file or block device, and the export of it, to which the handle belongs. */
export interface OpenedFile {
  handle: FileHandle;
  target: Export & AsyncDisposable;
  /**
   * Its modification time before it was exported, in nanoseconds since 1970: to find out whether the file system makes holes
   * changes it.
   */
  modifiedBefore: bigint;
}

/**
 * Opens a file or block device and exports it, once its first bytes could be read: a network share may have lost its server.
 * @param path a Buffer where its name is not UTF-8
 * @throws the error of open(2) or read(2), or Error in words when it is neither a file nor a block device, or too large
 */
export async function openFileExport(
  path: string | Buffer,
  options: FileExportOptions = {},
): Promise<Export & AsyncDisposable> {
  return (await openFile(path, options)).target;
}

/** `openFileExport`, with the handle beside the export, for those who look at the file. */
export async function openFile(path: string | Buffer, options: FileExportOptions = {}): Promise<OpenedFile> {
  const handle = await openMedium(path, options.writable ?? false);
  try {
    const { mtimeNs: modifiedBefore } = await handle.stat({ bigint: true });
    const target = await fileExport(handle, options);
    await handle.read(new Uint8Array(TRIAL), 0, TRIAL, 0).catch((cause: Error) => {
      throw new Error(`it cannot be read: ${cause.message}`, { cause });
    });
    return { handle, target, modifiedBefore };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

let turn: Promise<void> | undefined;

/**
 * Waits for the end of this turn of the event loop, so that the reads that the thread pool finished in one turn are answered
 * in one message (test/bench/README.md, "Answer together").
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
