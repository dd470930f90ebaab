import { ReusedMemory } from "../streams/reused-memory.ts";
import { Errno, ExportError } from "./error.ts";
import type { Export } from "./export.ts";

/** Reads of so many bytes go into memory of earlier ones that has been given back: to fetch new memory costs more than to set up a stream. */
const LONG = 1 << 19;

/** Bytes of memory that are kept for that. */
const SPARE = 1 << 24;

/**
 * All that read now. Chromium takes a stream for garbage, with whoever waits for it, when nobody but them knows it: such a
 * read never ended.
 */
const readers = new Set<ReadableStreamBYOBReader>();

/**
 * Exports a Blob or File, read-only. A read fails with EIO when the file was changed or removed since. The bytes belong to
 * the reader, who may give them back (`giveBack`): they are read into again then, where a page would leave them to its
 * garbage collector, which lets 64 MiB pile up.
 */
export function blobExport(blob: Blob): Export {
  const memory = new ReusedMemory(SPARE);
  let hasByteStreams = true;

  /** The bytes, none where they have become fewer; undefined where this runtime's Blobs do not read into given memory. */
  async function readInto(slice: Blob, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    const reader = byteReader(slice);
    hasByteStreams = reader !== undefined;
    if (!reader) return undefined;
    readers.add(reader);
    const giveUp = () => reader.cancel(signal?.reason).catch(() => {});
    signal?.addEventListener("abort", giveUp);
    try {
      let buffer = memory.take(slice.size);
      let at = 0;
      while (at < slice.size) {
        const { value } = await reader.read(new Uint8Array(buffer, at));
        signal?.throwIfAborted();
        if (!value?.byteLength) return new Uint8Array(0);
        buffer = value.buffer;
        at += value.byteLength;
      }
      return memory.lend(buffer);
    } finally {
      readers.delete(reader);
      signal?.removeEventListener("abort", giveUp);
      reader.cancel().catch(() => {});
    }
  }

  return {
    size: blob.size,
    async read(offset, length, { signal } = {}) {
      signal?.throwIfAborted();
      const slice = blob.slice(offset, offset + length);
      let bytes: Uint8Array | undefined;
      try {
        if (length >= LONG && hasByteStreams) bytes = await readInto(slice, signal);
        bytes ??= new Uint8Array(await slice.arrayBuffer());
      } catch (cause) {
        signal?.throwIfAborted();
        throw new ExportError(
          Errno.EIO,
          `reading ${length} bytes at ${offset}: the file was changed or removed`,
          {
            cause,
          },
        );
      }
      if (bytes.byteLength !== length) {
        throw new ExportError(Errno.EIO, `reading ${length} bytes at ${offset}: the file has become shorter`);
      }
      return bytes;
    },
    async close() {},
  };
}

function byteReader(blob: Blob): ReadableStreamBYOBReader | undefined {
  const stream = blob.stream();
  try {
    return stream.getReader({ mode: "byob" });
  } catch {
    // It has begun to read the file all the same.
    stream.cancel().catch(() => {});
    return undefined;
  }
}
