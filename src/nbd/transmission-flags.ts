import { checkExport } from "../export/check-export.ts";
import type { Export } from "../export/export.ts";
import { TransmissionFlag } from "./constants.ts";
import type { Negotiated } from "./transmission.ts";

/** The transmission flags of an export, for a client that has negotiated these replies. */
export function transmissionFlags(
  target: Export,
  negotiated: Pick<Negotiated, "headers" | "allocation"> = {},
): number {
  checkExport(target);
  return flagsOf(target, negotiated);
}

/** `transmissionFlags` without checks, for an export that was checked before. */
export function flagsOf(
  target: Export,
  { headers, allocation }: Pick<Negotiated, "headers" | "allocation">,
): number {
  const { write, flush, trim, writeZeroes, cache } = target;
  // CAN_MULTI_CONN, since a flush covers the writes of all clients: they share the export.
  let flags: number = TransmissionFlag.HAS_FLAGS | TransmissionFlag.CAN_MULTI_CONN;
  if (flush) flags |= TransmissionFlag.SEND_FLUSH;
  if (cache) flags |= TransmissionFlag.SEND_CACHE;
  if (headers) flags |= TransmissionFlag.SEND_DF;
  if (headers === "extended" && allocation !== undefined) flags |= TransmissionFlag.BLOCK_STATUS_PAYLOAD;
  if (!write) return flags | TransmissionFlag.READ_ONLY;
  // An export without `flush` cannot bring the data of a FUA write to stable storage.
  if (flush) flags |= TransmissionFlag.SEND_FUA;
  if (trim) flags |= TransmissionFlag.SEND_TRIM;
  if (writeZeroes) flags |= TransmissionFlag.SEND_FAST_ZERO;
  return flags | TransmissionFlag.SEND_WRITE_ZEROES;
}
