import { Command, CommandFlag } from "../constants.ts";
import {
  BlockDescriptor,
  BlockStatus,
  ExtendedBlockDescriptor,
  ExtendedBlockStatus,
  ExtendedReply,
  ExtendedRequest,
  OffsetHole,
  Request,
  SimpleReply,
  StructuredReply,
} from "../messages.ts";
import type { NbdRequest, Negotiated } from "../transmission.ts";
import { MAX_ERROR } from "./reply-chunks.ts";

/** What a request counts at least, so that their number is bounded too. */
const LEAST = 4096;

/** Bytes of the shortest extent that a server tells of. */
const SECTOR = 512;

/** Measures what requests may have on a link at the same time. */
export interface ReplyWeights {
  /** Bytes that a request sends or is answered with, headers included, whichever is more; at least 4096. */
  of(request: Pick<NbdRequest, "type" | "flags" | "length">): number;
  /** Bytes of the longest range that a BLOCK_STATUS may ask about so that the answer is not longer than a READ's. */
  readonly inquiry: number;
}

/**
 * The weights of requests where these headers were negotiated: whatever is the longest that a server may answer. A READ is answered
 * with its data, or in pieces with holes between them, which are longer than the headers that they cost; anything with an error
 * and a message for people.
 *
 * @param longest the longest READ, in bytes. No BLOCK_STATUS counts more, whatever it asks about
 */
export function replyWeights({ headers }: Pick<Negotiated, "headers">, longest: number): ReplyWeights {
  const isExtended = headers === "extended";
  const chunk = isExtended ? ExtendedReply.size : StructuredReply.size;
  const [fixed, descriptor] = isExtended
    ? [ExtendedBlockStatus.size, ExtendedBlockDescriptor.size]
    : [BlockStatus.size, BlockDescriptor.size];
  const sent = isExtended ? ExtendedRequest.size : Request.size;
  const read = headers ? chunk + OffsetHole.size : SimpleReply.size;
  const least = headers ? Math.max(LEAST, chunk + MAX_ERROR) : LEAST;

  function status(flags: number, length: number): number {
    const count = flags & CommandFlag.REQ_ONE ? 1 : Math.ceil(length / SECTOR);
    return chunk + fixed + Math.min(count * descriptor, longest);
  }

  return {
    of({ type, flags, length }) {
      if (type === Command.READ) return Math.max(least, read + length);
      if (type === Command.WRITE) return Math.max(least, sent + length);
      return type === Command.BLOCK_STATUS ? Math.max(least, status(flags, length)) : least;
    },
    inquiry: Math.floor(longest / descriptor) * SECTOR,
  };
}
