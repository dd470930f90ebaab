import { Errno, ExportError } from "./error.ts";
import type { Export } from "./export.ts";

/** Exports a Blob or File, read-only. A read fails with EIO when the file was changed or removed since. */
export function blobExport(blob: Blob): Export {
  return {
    size: blob.size,
    async read(offset, length, { signal } = {}) {
      signal?.throwIfAborted();
      const slice = blob.slice(offset, offset + length);
      let buffer: ArrayBuffer;
      try {
        buffer = await slice.arrayBuffer();
      } catch (cause) {
        throw new ExportError(
          Errno.EIO,
          `reading ${length} bytes at ${offset}: the file was changed or removed`,
          {
            cause,
          },
        );
      }
      if (buffer.byteLength !== length) {
        throw new ExportError(Errno.EIO, `reading ${length} bytes at ${offset}: the file has become shorter`);
      }
      return new Uint8Array(buffer);
    },
    async close() {},
  };
}
