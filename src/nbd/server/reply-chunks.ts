import type { Extent } from "../../export/export.ts";
import { Allocation, ChunkFlag, ChunkType } from "../constants.ts";
import {
  BlockDescriptor,
  BlockStatus,
  ErrorChunk,
  ErrorOffset,
  ExtendedBlockDescriptor,
  ExtendedBlockStatus,
  ExtendedReply,
  OffsetData,
  OffsetHole,
  StructuredReply,
} from "../messages.ts";
import type { NbdReply, Negotiated, Piece } from "../transmission.ts";

/** A chunk on its way out: its header with the fixed part of its payload, and the data. */
export interface Chunk {
  header: Uint8Array;
  payload?: Uint8Array;
}

/** The longest message for people that is sent, in bytes. */
const MAX_MESSAGE = 1024;

/** Makes the chunks of a reply, with the headers that were negotiated. */
export function chunkEncoder({
  headers,
  allocation = 0,
}: Pick<Negotiated, "headers" | "allocation">): (reply: NbdReply) => Iterable<Chunk> {
  const isExtended = headers === "extended";
  const { size } = isExtended ? ExtendedReply : StructuredReply;

  /** A header with room for `fixed` bytes of payload behind it; `more` follow by themselves. */
  function begin(reply: NbdReply, type: number, fixed: number, more = 0, isLast = true): Uint8Array {
    const { cookie, offset = 0 } = reply;
    const flags = isLast ? ChunkFlag.DONE : 0;
    const bytes = new Uint8Array(size + fixed);
    const length = fixed + more;
    return isExtended
      ? ExtendedReply.encode({ flags, type, cookie, offset: BigInt(offset), length }, bytes)
      : StructuredReply.encode({ flags, type, cookie, length }, bytes);
  }

  function content(reply: NbdReply, piece: Piece, offset: number, isLast: boolean): Chunk {
    if (typeof piece === "number") {
      const header = begin(reply, ChunkType.OFFSET_HOLE, OffsetHole.size, 0, isLast);
      return { header: OffsetHole.encode({ offset, length: piece }, header, size) };
    }
    const header = begin(reply, ChunkType.OFFSET_DATA, OffsetData.size, piece.byteLength, isLast);
    return { header: OffsetData.encode({ offset }, header, size), payload: piece };
  }

  function* pieces(reply: NbdReply, all: readonly Piece[]): Generator<Chunk> {
    let at = Number(reply.offset);
    for (const [i, piece] of all.entries()) {
      yield content(reply, piece, at, i === all.length - 1);
      at += typeof piece === "number" ? piece : piece.byteLength;
    }
  }

  function error(reply: NbdReply): Chunk {
    const { error, message = "", errorOffset } = reply;
    const words = new Uint8Array(MAX_MESSAGE);
    const messageLength = new TextEncoder().encodeInto(message, words).written;
    const length = ErrorChunk.size + messageLength;
    const hasOffset = errorOffset !== undefined;
    const type = hasOffset ? ChunkType.ERROR_OFFSET : ChunkType.ERROR;
    const header = begin(reply, type, length + (hasOffset ? ErrorOffset.size : 0));
    ErrorChunk.encode({ error, messageLength }, header, size);
    header.set(words.subarray(0, messageLength), size + ErrorChunk.size);
    if (hasOffset) ErrorOffset.encode({ offset: errorOffset }, header, size + length);
    return { header };
  }

  function status(reply: NbdReply, extents: readonly Extent[]): Chunk {
    const [fixed, descriptor, type] = isExtended
      ? [ExtendedBlockStatus, ExtendedBlockDescriptor, ChunkType.BLOCK_STATUS_EXT]
      : [BlockStatus, BlockDescriptor, ChunkType.BLOCK_STATUS];
    const header = begin(reply, type, fixed.size + extents.length * descriptor.size);
    fixed.encode({ context: allocation, count: extents.length }, header, size);
    let at = size + fixed.size;
    for (const { length, hole, zero } of extents) {
      const status = (hole ? Allocation.HOLE : 0) | (zero ? Allocation.ZERO : 0);
      descriptor.encode({ length, status }, header, at);
      at += descriptor.size;
    }
    return { header };
  }

  return (reply) => {
    const { payload, extents } = reply;
    if (reply.error) return [error(reply)];
    if (payload) return [content(reply, payload, Number(reply.offset), true)];
    if (reply.pieces) return pieces(reply, reply.pieces);
    if (extents) return [status(reply, extents)];
    return [{ header: begin(reply, ChunkType.NONE, 0) }];
  };
}
