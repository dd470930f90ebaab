import { gather } from "../gather.ts";
import { SimpleReply } from "../messages.ts";
import type { NbdReply, Negotiated } from "../transmission.ts";
import { type Chunk, chunkEncoder } from "./reply-chunks.ts";

export interface ReplyEncoderOptions {
  /**
   * Replies that are ready together, and are no more than so many bytes, are copied to go out as one chunk, whose memory is
   * used again as soon as the consumer asks for more: for one that has taken a copy by then, and to which a chunk costs more
   * than that, as to a browser's WebSocket. Payloads that an export has lent are given back (`giveBack`). Default: long
   * payloads are chunks of their own, and not copied.
   */
  gatherUpTo?: number;
}

/** Hands replies on as bytes. */
type EncodeReplies = (replies: NbdReply[], emit: (chunk: Uint8Array) => void) => void;

/**
 * Makes what turns replies into bytes: simple replies, or chunks of structured or extended ones, as was negotiated
 * (proto.md, "Simple reply message", "Structured reply chunk message", "Extended reply chunk message").
 */
export function encodeReplies(
  negotiated: Pick<Negotiated, "headers" | "allocation">,
  { gatherUpTo }: ReplyEncoderOptions,
): EncodeReplies {
  const into = gatherUpTo === undefined ? undefined : new Uint8Array(gatherUpTo);
  if (!negotiated.headers) {
    const header = (reply: NbdReply) => SimpleReply.encode(reply);
    return (replies, emit) => gather(replies, header, emit, into);
  }
  const chunksOf = chunkEncoder(negotiated);
  return (replies, emit) => {
    // In an array: generators within one another cost a short reply a twentieth of all that it allocates.
    const chunks: Chunk[] = [];
    for (const reply of replies) chunks.push(...chunksOf(reply));
    gather<Chunk>(chunks, ({ header }) => header, emit, into);
  };
}
