import { gather } from "../gather.ts";
import { SimpleReply } from "../messages.ts";
import type { NbdReply, Negotiated } from "../transmission.ts";
import { type Chunk, chunkEncoder } from "./reply-chunks.ts";

export interface ReplyEncoderOptions {
  /**
   * Packs replies that are ready together into one chunk of at most this many bytes. Its memory is used again when the consumer
   * asks for more, so it must have copied the chunk by then, as a browser's WebSocket does. Payloads that an export has lent are
   * given back (`giveBack`). Default: long payloads are chunks of their own, and are not copied.
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
