import type { Extent } from "../../export/export.ts";
import { giveBack } from "../../streams/lent.ts";
import type { Parser } from "../../streams/parse.ts";
import { skip } from "../../streams/skip.ts";
import { Allocation, ChunkFlag, ChunkType, Command, MAX_STRING, nameOf } from "../constants.ts";
import { ProtocolError } from "../error.ts";
import {
  BlockDescriptor,
  BlockStatus,
  ErrorChunk,
  ErrorOffset,
  ExtendedBlockDescriptor,
  ExtendedBlockStatus,
  OffsetData,
  OffsetHole,
  type StructuredReply,
} from "../messages.ts";
import type { NbdReply, NbdRequest } from "../transmission.ts";

/** The most descriptors that a server should send in a chunk (proto.md, "NBD_REPLY_TYPE_BLOCK_STATUS"). */
const MAX_DESCRIPTORS = 1 << 20;

/**
 * How many of them are looked at; what they do not cover can be asked for again. More have to be taken, since nbdkit and
 * qemu-nbd send as many as there are in the range.
 */
export const USED_DESCRIPTORS = 1 << 10;

/** How many are read at a time, between which others may have their turn. */
const DESCRIPTORS = 32;

/** Bytes of an error chunk without its header. Those of types that are not known may have some fields more. */
export const MAX_ERROR = ErrorChunk.size + MAX_STRING + 64;

/** Bytes that a server gives at a time at least, in the mean, wherever they are; with some to spare for short READs. */
const SECTOR = 512;
const SPARE_PLACES = 1024;

/** What the chunks of one reply have told so far. */
export class PartialReply {
  readonly request: NbdRequest;
  /** The id of `base:allocation`, if it was selected. */
  readonly allocation: number | undefined;
  /** What the first error chunk said. */
  failure: Pick<NbdReply, "error" | "message" | "errorOffset"> | undefined;
  extents: readonly Extent[] | undefined;
  /** The data of the READ: that of its only chunk, or of as many as came. */
  #data: Uint8Array | undefined;
  /** What was told of the READ's range, neighbours in one. */
  readonly #told: { from: number; to: number }[] = [];
  #length = 0;

  constructor(request: NbdRequest, allocation: number | undefined) {
    this.request = request;
    this.allocation = allocation;
  }

  /**
   * Takes note that a range of the export is told.
   * @throws ProtocolError when it is not within the READ, or was told before
   */
  claim(offset: number, length: number): void {
    const from = offset - this.request.offset;
    const to = from + length;
    if (length === 0 || from < 0 || to > this.request.length) {
      throw new ProtocolError(
        `the server sent ${length} bytes at ${offset} that are not in the READ of ${range(this.request)}`,
      );
    }
    const at = this.#after(from);
    const [before, after] = [this.#told[at - 1], this.#told[at]];
    if ((before && before.to > from) || (after && after.from < to)) {
      throw new ProtocolError(`the server sent bytes at ${offset} twice in a READ of ${range(this.request)}`);
    }
    if (before?.to === from && after?.from === to) {
      before.to = after.to;
      this.#told.splice(at, 1);
    } else if (before?.to === from) before.to = to;
    else if (after?.from === to) after.from = from;
    else if (this.#told.length < this.request.length / SECTOR + SPARE_PLACES) {
      this.#told.splice(at, 0, { from, to });
    } else {
      throw new ProtocolError(
        `the server sent a READ of ${range(this.request)} in more places than can be kept track of`,
      );
    }
    this.#length += length;
  }

  /** Where a range that begins at `from` has its place: behind all that begin before it. */
  #after(from: number): number {
    let [low, high] = [0, this.#told.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#told[middle]!.from < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Takes data whose place has been claimed. What is all of the READ is kept as it is, not copied. */
  fill(offset: number, data: Uint8Array): void {
    if (data.byteLength === this.request.length) {
      this.#data = data;
      return;
    }
    this.#whole().set(data, offset - this.request.offset);
    giveBack(data);
  }

  #whole(): Uint8Array {
    this.#data ??= new Uint8Array(this.request.length);
    return this.#data;
  }

  /**
   * The reply, once its last chunk has come.
   * @throws ProtocolError when it lacks something
   */
  complete(): NbdReply {
    const { cookie, type, length } = this.request;
    if (this.failure) return { cookie, ...this.failure };
    if (type === Command.READ) {
      if (this.#length !== length) {
        throw new ProtocolError(`the server sent ${this.#length} bytes of a READ of ${range(this.request)}`);
      }
      return length === 0 ? { cookie, error: 0 } : { cookie, error: 0, payload: this.#whole() };
    }
    if (type !== Command.BLOCK_STATUS) return { cookie, error: 0 };
    if (!this.extents) throw new ProtocolError(`the server told no status of ${range(this.request)}`);
    return { cookie, error: 0, extents: this.extents };
  }
}

const range = ({ offset, length }: { offset: number; length: number }) => `${length} bytes at ${offset}`;

/**
 * Takes the payload of a chunk into the reply that it is part of.
 * @returns whether it is the reply's last chunk
 * @throws ProtocolError when the chunk does not fit the request; before its payload is waited for, if its length tells
 */
export function* chunkIntoReply(
  header: Pick<StructuredReply, "flags" | "type" | "length">,
  reply: PartialReply,
  isExtended: boolean,
): Parser<boolean> {
  const { type, length } = header;
  const isLast = (header.flags & ChunkFlag.DONE) !== 0;
  const fail = (): never => {
    const what = `${nameOf(ChunkType, type)} chunk of ${length} bytes`;
    throw new ProtocolError(`the server answered a ${nameOf(Command, reply.request.type)} with a ${what}`);
  };
  const isRead = reply.request.type === Command.READ;
  if (type === ChunkType.NONE) {
    if (length !== 0 || !isLast) fail();
  } else if (type === ChunkType.OFFSET_DATA) {
    if (!isRead || length <= OffsetData.size || length > OffsetData.size + reply.request.length) fail();
    const { offset } = OffsetData.decode(yield OffsetData.size);
    reply.claim(offset, length - OffsetData.size);
    reply.fill(offset, yield length - OffsetData.size);
  } else if (type === ChunkType.OFFSET_HOLE) {
    if (!isRead || length !== OffsetHole.size) fail();
    const hole = OffsetHole.decode(yield OffsetHole.size);
    reply.claim(hole.offset, hole.length);
  } else if (type === (isExtended ? ChunkType.BLOCK_STATUS_EXT : ChunkType.BLOCK_STATUS)) {
    if (reply.request.type !== Command.BLOCK_STATUS || reply.extents) fail();
    reply.extents = yield* status(length, reply, isExtended, fail);
  } else if (type & 0x8000) {
    if (length < ErrorChunk.size || length > MAX_ERROR) fail();
    const failure = errorOf(type, yield length, reply.request, fail);
    reply.failure ??= failure;
  } else {
    fail();
  }
  return isLast;
}

function errorOf(
  type: number,
  payload: Uint8Array,
  request: NbdRequest,
  fail: () => never,
): NonNullable<PartialReply["failure"]> {
  const { error, messageLength } = ErrorChunk.decode(payload);
  const hasOffset = type === ChunkType.ERROR_OFFSET;
  const end = ErrorChunk.size + messageLength;
  if (error === 0 || end + (hasOffset ? ErrorOffset.size : 0) > payload.byteLength) fail();
  const message = new TextDecoder().decode(payload.subarray(ErrorChunk.size, end));
  const failure = { error, ...(message && { message }) };
  if (!hasOffset) return failure;
  const { offset } = ErrorOffset.decode(payload.subarray(end));
  // Elsewhere it says nothing, as where the server itself reads more than it was asked for.
  const isWithin = offset >= request.offset && offset < request.offset + request.length;
  return isWithin ? { ...failure, errorOffset: offset } : failure;
}

/** The extents of a status chunk, as far as the request asked and no more than are of use. The rest is skipped, never held. */
function* status(
  length: number,
  { request, allocation }: PartialReply,
  isExtended: boolean,
  fail: () => never,
): Parser<Extent[]> {
  const [fixed, descriptor] = isExtended
    ? [ExtendedBlockStatus, ExtendedBlockDescriptor]
    : [BlockStatus, BlockDescriptor];
  const count = (length - fixed.size) / descriptor.size;
  if (!Number.isInteger(count) || count < 1 || count > MAX_DESCRIPTORS) fail();
  const told: { context: number; count?: number } = fixed.decode(yield fixed.size);
  if (told.context !== allocation || (told.count ?? count) !== count) fail();

  const extents: Extent[] = [];
  const used = Math.min(count, USED_DESCRIPTORS);
  let at = 0;
  while (extents.length < used) {
    const some = Math.min(DESCRIPTORS, used - extents.length);
    const payload = yield some * descriptor.size;
    for (let i = 0; i < some; i++) {
      const { length: bytes, status } = descriptor.decode(payload.subarray(i * descriptor.size));
      // Only the last one may reach beyond what was asked about, and none has flags of more than 32 bits.
      if (bytes === 0 || at >= request.length || status > 0xffffffff) fail();
      extents.push({
        length: Math.min(bytes, request.length - at),
        hole: (status & Allocation.HOLE) !== 0,
        zero: (status & Allocation.ZERO) !== 0,
      });
      at += bytes;
    }
  }
  yield* skip((count - used) * descriptor.size);
  return extents;
}
