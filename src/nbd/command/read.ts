import { checkExtents } from "../../export/check-extents.ts";
import { Errno } from "../../export/error.ts";
import type { Export, Extent } from "../../export/export.ts";
import { payloadOfRead } from "../../export/payload-of-read.ts";
import { CommandFlag, MAX_PAYLOAD } from "../constants.ts";
import type { Piece, ReplyContent } from "../transmission.ts";
import type { CommandHandler } from "./command.ts";
import { isAligned, isInside } from "./range.ts";

/** A run of at least this many zeroes is reported, not sent. So is a shorter one that is all that is read. */
const HOLE = 1 << 14;

/** NBD_CMD_READ. A length of 0, which the specification leaves open, succeeds without data. */
export const read: CommandHandler = {
  flags: CommandFlag.DF,
  refuse(request, _target, negotiated) {
    if (!isInside(request, negotiated) || !isAligned(request, negotiated)) return Errno.EINVAL;
    if (request.length > (negotiated.blockSize?.maximum ?? MAX_PAYLOAD)) return Errno.EINVAL;
    return undefined;
  },
  async serve(request, target, { headers }, note) {
    const { offset, length, flags } = request;
    if (length === 0) return undefined;
    if (headers && !(flags & CommandFlag.DF) && target.knownExtents) {
      const asked = knownHoles(target, offset, length, (error) => note(error, request));
      const holes = asked instanceof Promise ? await asked : asked;
      if (holes.length > 0) return readSparse(target, offset, length, holes);
    }
    // A simple reply has no length, so a payload of a wrong length would break all later replies.
    return { payload: payloadOfRead(await target.read(offset, length), offset, length) };
  },
};

interface Hole {
  from: number;
  to: number;
}

/** Reads from the first byte of data to the last, and reports the holes. */
async function readSparse(
  target: Export,
  offset: number,
  length: number,
  holes: readonly Hole[],
): Promise<ReplyContent> {
  const [first, last] = [holes[0]!, holes.at(-1)!];
  const start = first.from === 0 ? first.to : 0;
  const end = last.to === length ? last.from : length;
  if (start >= end) return { pieces: [length] };
  const asked = end - start;
  const data = payloadOfRead(await target.read(offset + start, asked), offset + start, asked);

  const pieces: Piece[] = [];
  let at = 0;
  for (const { from, to } of [...holes, { from: length, to: length }]) {
    if (from > at) pieces.push(data.subarray(at - start, from - start));
    if (to > from) pieces.push(to - from);
    at = to;
  }
  return { pieces };
}

/**
 * The runs of zeroes in a range that are worth reporting, in order, relative to its beginning. No promise is made if the
 * export answers at once.
 */
function knownHoles(
  target: Export,
  offset: number,
  length: number,
  onFault: (error: unknown) => void,
): readonly Hole[] | Promise<readonly Hole[]> {
  const holes = (extents: readonly Extent[]) => {
    checkExtents(extents, `knownExtents(${offset}, ${length})`);
    return worthTelling(extents, length);
  };
  // The range is read even if its extents cannot be found out.
  const unknown = (error: unknown): readonly Hole[] => {
    onFault(error);
    return [];
  };
  try {
    const extents = target.knownExtents!(offset, length);
    return extents instanceof Promise ? extents.then(holes).catch(unknown) : holes(extents);
  } catch (error) {
    return unknown(error);
  }
}

function worthTelling(extents: readonly Extent[], length: number): readonly Hole[] {
  const holes: Hole[] = [];
  let at = 0;
  for (const extent of extents) {
    const to = Math.min(at + extent.length, length);
    const previous = holes.at(-1);
    if (extent.zero && previous?.to === at) previous.to = to;
    else if (extent.zero && to > at) holes.push({ from: at, to });
    at = to;
  }
  return holes.filter(({ from, to }) => to - from >= HOLE || to - from === length);
}
