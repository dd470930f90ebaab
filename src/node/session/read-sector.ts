import type { Export } from "../../export/export.ts";

/** Bytes, which every server can read. */
const SECTOR = 512;

/** Reads the first sector of the export at the other end of a link, past all filters: it is neither counted nor kept. */
export async function readSector(remote: Pick<Export, "read" | "size">): Promise<void> {
  await remote.read(0, Math.min(SECTOR, remote.size));
}
