/** What was lent, and must not be looked at once it was given back. */
import type { Export } from "../src/export/export.ts";
import { memoryExport } from "../src/export/memory.ts";
import { lend } from "../src/streams/lent.ts";

/** Lends bytes, which are spoilt when they are given back; until then they are in `out`. */
export function lendToSpoil(bytes: Uint8Array, out = new Set<Uint8Array>()): Uint8Array {
  out.add(bytes);
  return lend(bytes, () => {
    bytes.fill(0xee);
    out.delete(bytes);
  });
}

/** An export in memory that lends what it reads so; and what is out. */
export function lending(bytes: Uint8Array): { target: Export; out: Set<Uint8Array> } {
  const out = new Set<Uint8Array>();
  const target: Export = {
    ...memoryExport(bytes),
    async read(offset, length) {
      const part = lendToSpoil(bytes.slice(offset, offset + length), out);
      await new Promise((resolve) => setImmediate(resolve));
      return part;
    },
  };
  return { target, out };
}
