/** An export whose memory must not be looked at once it was given back. */
import type { Export } from "../src/export/export.ts";
import { memoryExport } from "../src/export/memory.ts";
import { lend } from "../src/streams/lent.ts";

/** An export in memory that lends what it reads, and spoils it when it is given back; and what is out. */
export function lending(bytes: Uint8Array): { target: Export; out: Set<Uint8Array> } {
  const out = new Set<Uint8Array>();
  const target: Export = {
    ...memoryExport(bytes),
    async read(offset, length) {
      const part = bytes.slice(offset, offset + length);
      out.add(part);
      await new Promise((resolve) => setImmediate(resolve));
      return lend(part, () => {
        part.fill(0xee);
        out.delete(part);
      });
    },
  };
  return { target, out };
}
