import { checkExtents } from "../../export/check-extents.ts";
import { Errno } from "../../export/error.ts";
import type { Extent } from "../../export/export.ts";
import { CommandFlag } from "../constants.ts";
import type { CommandHandler } from "./command.ts";
import { isAligned, isInside } from "./range.ts";

/** How many extents a reply has at most. A client that wants more asks again from their end. */
export const MAX_EXTENTS = 1 << 10;

/** NBD_CMD_BLOCK_STATUS in the only metadata context, `base:allocation`. */
export const blockStatus: CommandHandler = {
  flags: CommandFlag.REQ_ONE,
  // A file may be asked for a thousand extents at once.
  effort: 63,
  refuse(request, _target, negotiated) {
    const { allocation } = negotiated;
    const { length, contexts = [] } = request;
    if (allocation === undefined || length === 0) return Errno.EINVAL;
    if (contexts.length > 1 || contexts.some((id) => id !== allocation)) return Errno.EINVAL;
    if (!isInside(request, negotiated) || !isAligned(request, negotiated)) return Errno.EINVAL;
    return undefined;
  },
  async serve({ offset, length, flags, contexts }, target, { blockSize }) {
    if (contexts?.length === 0) return undefined;
    const known = target.extents ? await target.extents(offset, length) : [];
    checkExtents(known, `extents(${offset}, ${length})`);
    const extents = merged(aligned(known, blockSize?.minimum ?? 1, length));
    return { extents: flags & CommandFlag.REQ_ONE ? extents.slice(0, 1) : extents };
  },
};

/**
 * The extents up to `length`, with borders moved to multiples of the minimum block size. A block with several states counts
 * as data, which is always true, and so does everything if no extents are known.
 */
function* aligned(extents: readonly Extent[], minimum: number, length: number): Generator<Extent> {
  const data = (bytes: number): Extent => ({ length: bytes, hole: false, zero: false });
  const down = (bytes: number) => bytes - (bytes % minimum);
  let at = 0;
  let told = 0;
  for (const { length: bytes, hole, zero } of extents) {
    const from = down(at + minimum - 1);
    at = Math.min(at + bytes, length);
    const to = down(at);
    if (from >= to) continue;
    if (from > told) yield data(from - told);
    yield { length: to - from, hole, zero };
    told = to;
  }
  const end = at === 0 ? length : down(at + minimum - 1);
  if (end > told) yield data(end - told);
}

/** Joins neighbours of the same state. Returns at most MAX_EXTENTS. */
function merged(extents: Iterable<Extent>): Extent[] {
  const result: Extent[] = [];
  for (const { length, hole, zero } of extents) {
    const last = result.at(-1);
    if (last && last.hole === hole && last.zero === zero) last.length += length;
    else if (result.length === MAX_EXTENTS) break;
    else result.push({ length, hole, zero });
  }
  return result;
}
