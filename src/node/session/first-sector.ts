import type { Export } from "../../export/export.ts";

/** Bytes that every server can read. */
const SECTOR = 512;

/** Reads the first sector, past all filters, to find out whether an answer comes: it is neither counted nor kept. */
export function firstSector(remote: Pick<Export, "read" | "size">): Promise<Uint8Array> {
  return remote.read(0, Math.min(SECTOR, remote.size));
}
