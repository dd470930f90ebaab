import { checkBytes } from "../streams/check.ts";
import { type AsyncDisposable, disposable } from "../streams/disposable.ts";
import type { Export } from "./export.ts";

/** Exports bytes in memory. Writes change `bytes` itself; with `readOnly` it has no `write`. */
export function memoryExport(bytes: Uint8Array, { readOnly = false } = {}): Export & AsyncDisposable {
  checkBytes(bytes, "what is exported");
  const readable: Export & AsyncDisposable = disposable({
    size: bytes.byteLength,
    // A copy, since the bytes may change before they are sent.
    read: async (offset: number, length: number) => bytes.slice(offset, offset + length),
    close: async () => {},
  });
  if (readOnly) return readable;
  const clear = async (offset: number, length: number) => void bytes.fill(0, offset, offset + length);
  return {
    ...readable,
    async write(offset, data) {
      bytes.set(data, offset);
    },
    async flush() {},
    trim: clear,
    writeZeroes: clear,
  };
}
