import { errnoName } from "../../export/error.ts";
import type { Parser } from "../../streams/parse.ts";
import { Allocation, ChunkFlag, ChunkType, Command, CommandFlag, flagNames, nameOf } from "../constants.ts";
import { ProtocolError } from "../error.ts";
import {
  BlockDescriptor,
  BlockStatus,
  BlockStatusPayload,
  ErrorChunk,
  ErrorOffset,
  ExtendedBlockDescriptor,
  ExtendedBlockStatus,
  ExtendedRequest,
  OffsetData,
  OffsetHole,
  type Request,
  SimpleReply,
  type StructuredReply,
} from "../messages.ts";
import { MAX_DATA, type Meaning, number, quote, type Session, whole } from "./meaning.ts";

/** How many extents of a status are shown. */
const MAX_EXTENTS = 8;

export function request(request: Request, session: Session): Meaning {
  const { type, length } = request;
  if (type !== Command.DISC) session.requests.set(request.cookie, request);
  return { comment: asked(request), data: type === Command.WRITE ? length : 0 };
}

function asked({ type, flags, cookie, offset, length }: Request): string {
  const range = type === Command.DISC || type === Command.FLUSH ? "" : ` ${length} bytes at ${offset}`;
  const flagged = flags ? `, flags ${flagNames(CommandFlag, flags)}` : "";
  return `${nameOf(Command, type)}${range}, cookie ${cookieOf(cookie)}${flagged}`;
}

export function* extendedRequest(magic: Uint8Array, session: Session): Parser<Meaning> {
  const asking: Request = ExtendedRequest.decode(yield* whole(magic, ExtendedRequest.size));
  const { type, flags, length } = asking;
  const { comment } = request(asking, session);
  // A WRITE has a payload even without PAYLOAD_LEN: see `extendedRequest` of the server.
  if (!(flags & CommandFlag.PAYLOAD_LEN) && type !== Command.WRITE) return { comment };
  if (type !== Command.BLOCK_STATUS || length < BlockStatusPayload.size || length > MAX_DATA)
    return { comment, data: length };
  const payload = yield length;
  asking.length = BlockStatusPayload.decode(payload).length;
  const ids = payload.subarray(BlockStatusPayload.size);
  const contexts = Array.from({ length: ids.byteLength >> 2 }, (_, i) => number(ids.subarray(i * 4)));
  return { comment: `${asked(asking)}, contexts ${contexts.join(", ") || "none"}` };
}

export function* simpleReply(magic: Uint8Array, session: Session): Parser<Meaning> {
  const { error, cookie } = SimpleReply.decode(yield* whole(magic, SimpleReply.size));
  const request = requestOf(cookie, session);
  session.requests.delete(cookie);
  const what = `reply to ${nameOf(Command, request.type)}, cookie ${cookieOf(cookie)}`;
  if (error !== 0) return { comment: `${what}: ${errnoName(error)}` };
  if (request.type !== Command.READ) return { comment: what };
  return { comment: `${what}: ${request.length} bytes`, data: request.length };
}

function requestOf(cookie: bigint, session: Session): Request {
  const request = session.requests.get(cookie);
  if (!request) throw new ProtocolError(`a reply without a request, cookie ${cookieOf(cookie)}`);
  return request;
}

/** A chunk of a structured or extended reply. */
export function* chunk(header: StructuredReply, session: Session): Parser<Meaning> {
  const { cookie, flags, type, length } = header;
  const request = requestOf(cookie, session);
  const isLast = (flags & ChunkFlag.DONE) !== 0;
  if (isLast) session.requests.delete(cookie);
  const what = `${isLast ? "last chunk" : "chunk"} to ${nameOf(Command, request.type)}, cookie ${cookieOf(cookie)}: `;
  const say = (words: string, data = 0): Meaning => ({ comment: what + words, data });
  const name = nameOf(ChunkType, type);
  if (type === ChunkType.OFFSET_DATA && length >= OffsetData.size) {
    const { offset } = OffsetData.decode(yield OffsetData.size);
    const bytes = length - OffsetData.size;
    return say(`${name}, ${bytes} bytes at ${offset}`, bytes);
  }
  if (length > MAX_DATA) return say(`${name}, ${length} bytes`, length);
  const payload = length > 0 ? yield length : new Uint8Array(0);
  if (type === ChunkType.OFFSET_HOLE && length === OffsetHole.size) {
    const hole = OffsetHole.decode(payload);
    return say(`${name}, ${hole.length} bytes at ${hole.offset}`);
  }
  if (type & 0x8000 && length >= ErrorChunk.size) return say(`${name} ${failure(type, payload)}`);
  const extents = statuses(type, payload);
  if (extents) return say(`${name} ${extents}`);
  return say(length > 0 ? `${name}, ${length} bytes` : name);
}

function failure(type: number, payload: Uint8Array): string {
  const { error, messageLength } = ErrorChunk.decode(payload);
  const end = ErrorChunk.size + messageLength;
  const words = messageLength > 0 ? `, ${quote(payload.subarray(ErrorChunk.size, end))}` : "";
  if (type !== ChunkType.ERROR_OFFSET || end + ErrorOffset.size > payload.byteLength)
    return errnoName(error) + words;
  return `${errnoName(error)} at ${ErrorOffset.decode(payload.subarray(end)).offset}${words}`;
}

/** The extents of a status chunk, with the id of their context. Undefined if the chunk is of another type. */
function statuses(type: number, payload: Uint8Array): string | undefined {
  const isExtended = type === ChunkType.BLOCK_STATUS_EXT;
  const [fixed, descriptor] = isExtended
    ? [ExtendedBlockStatus, ExtendedBlockDescriptor]
    : [BlockStatus, BlockDescriptor];
  if (!(isExtended || type === ChunkType.BLOCK_STATUS) || payload.byteLength < fixed.size) return undefined;
  const { context }: { context: number } = fixed.decode(payload);
  const count = Math.floor((payload.byteLength - fixed.size) / descriptor.size);
  const shown = Array.from({ length: Math.min(count, MAX_EXTENTS) }, (_, i) => {
    const { length, status } = descriptor.decode(payload.subarray(fixed.size + i * descriptor.size));
    return `${length} ${status === 0 ? "data" : flagNames(Allocation, status)}`;
  });
  if (count > MAX_EXTENTS) shown.push(`… ${count} in all`);
  return `of context ${context}: ${shown.join(", ")}`;
}

function cookieOf(cookie: bigint): string {
  return `0x${cookie.toString(16)}`;
}
