import { checkAmount } from "../../streams/check.ts";
import { giveBack } from "../../streams/lent.ts";
import { spareMemory } from "../../streams/reused-memory.ts";
import type { Extent, Filter, ReadOptions } from "../export.ts";
import { payloadOfRead } from "../payload-of-read.ts";
import { sliceExtents } from "../slice-extents.ts";
import { forward } from "./forward.ts";

/** How many pieces of one long request are asked for at a time, so that others get their turn between them. */
const PIECES = 8;

/** The longest request that a client of NBD can be told of: what fits in 32 bits. */
const ANY_LENGTH = 0xffff_ffff;

export interface BlocksizeOptions {
  /** The longest read and write, in bytes; less where the next export's `blockSize` says so. Default: what that says. */
  longest?: number;
  /** The longest trim, range of zeroes and hint to the cache, in bytes. Default: no limit. */
  longestRange?: number;
}

interface Range {
  readonly offset: number;
  readonly length: number;
}

/**
 * Keeps to the block sizes of the next export, whatever is asked for. Long requests are split: a few of the pieces are asked for
 * at a time, and no more once one has failed. Reads, cache hints and questions for extents are aligned: the next export is
 * asked for the whole blocks around the range, as far as it goes.
 *
 * Changes are split and not aligned: to change a part of a block would take a read and a write, and others may write to the
 * same block in between. So a writable export keeps its minimum block size.
 */
export function blocksize({
  longest = Number.POSITIVE_INFINITY,
  longestRange = Number.POSITIVE_INFINITY,
}: BlocksizeOptions = {}): Filter {
  checkAmount(longest, "the longest read, in bytes,", 1);
  checkAmount(longestRange, "the longest range, in bytes,", 1);
  return (next) => {
    const passedOn = forward(next);
    const { minimum = 1, preferred, maximum = Number.POSITIVE_INFINITY } = next.blockSize ?? {};
    const most = wholeBlocks(Math.min(longest, maximum), minimum);
    const mostOfRange = wholeBlocks(longestRange, minimum);
    const isAligned = (offset: number, length: number) =>
      minimum === 1 || (offset % minimum === 0 && length % minimum === 0);

    /** The smallest range of whole blocks around another, as far as the export goes. */
    function aligned(offset: number, length: number): Range {
      if (length === 0) return { offset, length };
      const from = offset - (offset % minimum);
      const end = Math.min(Math.ceil((offset + length) / minimum) * minimum, next.size);
      return { offset: from, length: end - from };
    }

    async function readBlocks(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array> {
      const around = aligned(offset, length);
      if (around.length === length) return readSplit(offset, length, options);
      const blocks = await readSplit(around.offset, around.length, options);
      const from = offset - around.offset;
      return blocks.subarray(from, from + length);
    }

    async function readSplit(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array> {
      if (length <= most) return payloadOfRead(await next.read(offset, length, options), offset, length);
      const result = spareMemory.lend(spareMemory.take(length));
      await inPieces(length, most, async (from, to) => {
        const piece = await next.read(offset + from, to - from, options);
        result.set(payloadOfRead(piece, offset + from, to - from), from);
        giveBack(piece);
      });
      return result;
    }

    /** A method that takes a range and carries no payload, split. */
    function split<Options>(method: (offset: number, length: number, options?: Options) => Promise<void>) {
      return (offset: number, length: number, options?: Options): Promise<void> =>
        length <= mostOfRange
          ? method(offset, length, options)
          : inPieces(length, mostOfRange, (from, to) => method(offset + from, to - from, options));
    }

    const { write, trim, writeZeroes, cache, extents, knownExtents } = passedOn;
    const splitCache = cache && split(cache);
    return {
      ...passedOn,
      ...(preferred !== undefined && {
        blockSize: { minimum: write ? minimum : 1, preferred, maximum: ANY_LENGTH },
      }),
      read: (offset, length, options) =>
        length <= most && isAligned(offset, length)
          ? next.read(offset, length, options)
          : readBlocks(offset, length, options),
      ...(write && {
        write: (offset, data, options) =>
          data.byteLength <= most
            ? write(offset, data, options)
            : inPieces(data.byteLength, most, (from, to) =>
                write(offset + from, data.subarray(from, to), options),
              ),
      }),
      ...(trim && { trim: split(trim) }),
      ...(writeZeroes && { writeZeroes: split(writeZeroes) }),
      ...(splitCache && {
        cache(offset, length, options) {
          const around = aligned(offset, length);
          return splitCache(around.offset, around.length, options);
        },
      }),
      ...(extents && {
        async extents(offset, length, options) {
          const around = aligned(offset, length);
          const known = await extents(around.offset, around.length, options);
          return sliceExtents(known, offset - around.offset, length);
        },
      }),
      ...(knownExtents && {
        knownExtents(offset, length) {
          const around = aligned(offset, length);
          const part = (known: Extent[]) => sliceExtents(known, offset - around.offset, length);
          const known = knownExtents(around.offset, around.length);
          return Array.isArray(known) ? part(known) : known.then(part);
        },
      }),
    };
  };
}

/** Cuts a length in pieces, and works on some of them at a time. Rejects once all that were begun have settled. */
async function inPieces(
  length: number,
  longest: number,
  each: (from: number, to: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let hasFailed = false;
  const oneAfterAnother = async () => {
    while (next < length && !hasFailed) {
      const from = next;
      next = Math.min(next + longest, length);
      await each(from, next).catch((error) => {
        hasFailed = true;
        throw error;
      });
    }
  };
  const lines = Array.from({ length: Math.min(PIECES, Math.ceil(length / longest)) }, oneAfterAnother);
  // Not Promise.all: data that is written is lent until the last piece has settled.
  for (const line of await Promise.allSettled(lines)) if (line.status === "rejected") throw line.reason;
}

/** The largest number of bytes that is not more, and whole blocks; one block at least. */
function wholeBlocks(bytes: number, minimum: number): number {
  return bytes === Number.POSITIVE_INFINITY ? bytes : Math.max(minimum, bytes - (bytes % minimum));
}
