import { Errno, ExportError } from "../../export/error.ts";
import type { BlockSize, Export, Extent } from "../../export/export.ts";
import { sliceExtents } from "../../export/slice-extents.ts";
import { ByteBudget } from "../../streams/budget.ts";
import { unlessAborted } from "../../streams/unless-aborted.ts";
import { Command, CommandFlag, MAX_PAYLOAD, TransmissionFlag } from "../constants.ts";
import type { Negotiated, ReplyContent } from "../transmission.ts";
import type { Link } from "./link.ts";
import { USED_DESCRIPTORS } from "./reply-chunks.ts";

/** What the server is asked for at most, in bytes. For READ and WRITE the link's window is the limit. */
export interface Limits {
  /** TRIM, WRITE_ZEROES and CACHE, all that are outstanding together; see `effectWindow`. */
  effects: number;
  /** One BLOCK_STATUS. */
  inquiry: number;
  /** One BLOCK_STATUS that is answered with all extents there are. Where it is asked about more, one extent is told. */
  whole: number;
}

/**
 * The export of a server: a method for each command that its transmission flags allow. A call is one request on the link, as
 * it is: the caller keeps to the server's block sizes, and asks for FUA only where the server has SEND_FUA.
 */
export function linkExport(link: Link, negotiated: Negotiated, { effects, inquiry, whole }: Limits): Export {
  const { size, flags, blockSize, allocation } = negotiated;
  const has = (flag: number) => (flags & flag) !== 0;
  const isWritable = !has(TransmissionFlag.READ_ONLY);
  const target: Export = {
    size,
    ...(blockSize && { blockSize: allowed(blockSize) }),
    read(offset, length, options) {
      // The specification does not say what a READ of 0 bytes does, so none is sent.
      if (length === 0) return Promise.resolve(new Uint8Array(0));
      const signal = options?.signal;
      const answer = link.send(Command.READ, 0, offset, length, signal).then(payloadOf);
      // NBD cannot take a request back.
      return unlessAborted(answer, signal);
    },
    close: () => link.close(),
  };

  const room = effects < Number.POSITIVE_INFINITY ? new ByteBudget(effects).share(effects) : undefined;
  /** Sends a command whose length is not that of a payload. */
  async function effect(
    type: number,
    flags: number,
    offset: number,
    length: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (length === 0) return;
    await room?.acquire(length);
    try {
      await link.send(type, flags, offset, length, signal);
    } finally {
      room?.release(length);
    }
  }

  if (isWritable) {
    target.write = (offset, data, { fua, signal } = {}) => {
      if (data.byteLength === 0) return Promise.resolve();
      // Never `data` itself: it may be lent, and the caller gives it back.
      const payload = data.subarray();
      const flags = fua ? CommandFlag.FUA : 0;
      return link.send(Command.WRITE, flags, offset, data.byteLength, signal, payload).then(nothing);
    };
    if (has(TransmissionFlag.SEND_TRIM)) {
      target.trim = (offset, length, { fua, signal } = {}) =>
        effect(Command.TRIM, fua ? CommandFlag.FUA : 0, offset, length, signal);
    }
    if (has(TransmissionFlag.SEND_WRITE_ZEROES)) {
      target.writeZeroes = async (offset, length, { fua, noHole, fast, signal } = {}) => {
        if (fast && !has(TransmissionFlag.SEND_FAST_ZERO)) {
          throw new ExportError(Errno.ENOTSUP, "the server does not say whether writing zeroes is fast");
        }
        const flags =
          (fua ? CommandFlag.FUA : 0) |
          (noHole ? CommandFlag.NO_HOLE : 0) |
          (fast ? CommandFlag.FAST_ZERO : 0);
        await effect(Command.WRITE_ZEROES, flags, offset, length, signal);
      };
    }
  }
  if (has(TransmissionFlag.SEND_FLUSH)) target.flush = () => link.send(Command.FLUSH, 0, 0, 0).then(nothing);
  if (has(TransmissionFlag.SEND_CACHE)) {
    target.cache = (offset, length, { signal } = {}) => effect(Command.CACHE, 0, offset, length, signal);
  }
  if (allocation !== undefined) target.extents = blockStatus(link, inquiry, whole, blockSize?.minimum ?? 1);
  return target;
}

/**
 * Asks for extents. Servers tell all extents of a range, even if only the first ones are used: where there are many, the next
 * range is no longer than what the first ones covered.
 *
 * How many there are in a range nobody knows before. Where all of them would be too many, one is asked for; and if that is short,
 * all of a range that is short enough.
 */
function blockStatus(
  link: Link,
  longest: number,
  whole: number,
  minimum: number,
): NonNullable<Export["extents"]> {
  /** The longest range that is likely to have no more extents than are used. */
  let likely = Number.POSITIVE_INFINITY;

  function note(asked: number, extents: readonly Extent[]) {
    if (extents.length === USED_DESCRIPTORS) {
      const covered = extents.reduce((sum, { length }) => sum + length, 0);
      likely = Math.ceil(covered / minimum) * minimum;
    } else if (asked === likely) likely *= 2;
  }

  const few = whole === Number.POSITIVE_INFINITY ? whole : Math.max(minimum, whole - (whole % minimum));
  return async (offset, length, { signal } = {}) => {
    let asked = Math.min(length, longest, likely);
    if (asked > few) {
      const { extents } = await link.send(Command.BLOCK_STATUS, CommandFlag.REQ_ONE, offset, asked, signal);
      if (extents![0]!.length >= few) return sliceExtents(extents!, 0, length);
      asked = few;
    }
    const { extents } = await link.send(Command.BLOCK_STATUS, 0, offset, asked, signal);
    note(asked, extents!);
    return sliceExtents(extents!, 0, length);
  };
}

/** The block sizes that a server announced, as the specification allows them. */
function allowed({ minimum, preferred, maximum }: BlockSize): BlockSize {
  return {
    minimum,
    preferred: Math.min(Math.max(512, minimum, preferred), MAX_PAYLOAD),
    maximum: Math.max(minimum, Math.min(maximum, MAX_PAYLOAD)),
  };
}

const payloadOf = ({ payload }: ReplyContent): Uint8Array => payload!;

const nothing = () => {};
