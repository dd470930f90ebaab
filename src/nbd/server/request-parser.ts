import { Errno } from "../../export/error.ts";
import type { Room } from "../../streams/budget.ts";
import { Messages, type Parser } from "../../streams/parse.ts";
import { skip } from "../../streams/skip.ts";
import { Command, CommandFlag, MAX_PAYLOAD, nameOf, TransmissionFlag } from "../constants.ts";
import { ProtocolError } from "../error.ts";
import { BlockStatusPayload, ExtendedRequest, Request } from "../messages.ts";
import type { NbdRequest, Negotiated } from "../transmission.ts";

/** A payload up to this many bytes is collected without asking for room. */
const SHORT = 1 << 16;

/** The longest payload of a BLOCK_STATUS that is looked at, in bytes; there is one metadata context. */
const MAX_CONTEXTS = 1 << 12;

/**
 * Parses one request (proto.md, "Request message"). The payload of a WRITE that will be refused, as it is longer than
 * `maximum` bytes or the export is read-only, is skipped in small pieces, never held.
 */
export function* request(maximum: number, readOnly = false): Parser<NbdRequest> {
  const request: NbdRequest = Request.decode(yield Request.size);
  if (request.type === Command.WRITE) yield* writePayload(request, maximum, readOnly);
  return request;
}

/**
 * Parses one request with an extended header (proto.md, "Extended request message"). A payload that its command has no
 * use for is skipped, and the request refused; one that is longer than any server takes breaks the protocol.
 *
 * A WRITE has a payload whether it says so or not: qemu, up to 10.0 at least, does not set PAYLOAD_LEN.
 */
export function* extendedRequest(maximum: number, readOnly = false): Parser<NbdRequest> {
  const header = yield ExtendedRequest.size;
  const request: NbdRequest = ExtendedRequest.decode(header);
  const { type, flags, length, offset } = request;
  if (!Number.isSafeInteger(offset)) {
    request.exactOffset = new DataView(header.buffer, header.byteOffset).getBigUint64(16);
  }
  if (!(flags & CommandFlag.PAYLOAD_LEN) && type !== Command.WRITE) return request;
  if (length > Math.max(maximum, MAX_PAYLOAD)) {
    throw new ProtocolError(
      `the client announced a ${nameOf(Command, type)} with ${length} bytes of payload`,
    );
  }
  request.flags &= ~CommandFlag.PAYLOAD_LEN;
  if (type === Command.WRITE) yield* writePayload(request, maximum, readOnly);
  else if (type === Command.BLOCK_STATUS) yield* contexts(request);
  else yield* refused(request, Errno.EINVAL);
  return request;
}

function* writePayload(request: NbdRequest, maximum: number, readOnly: boolean): Parser<void> {
  if (readOnly) yield* refused(request, Errno.EPERM);
  else if (request.length > maximum) yield* refused(request, Errno.EINVAL);
  else request.payload = yield request.length;
}

/** The payload of a BLOCK_STATUS: the length that it is about, and the contexts that are asked for. */
function* contexts(request: NbdRequest): Parser<void> {
  const ids = request.length - BlockStatusPayload.size;
  if (ids < 0 || ids % 4 !== 0 || ids > MAX_CONTEXTS) return yield* refused(request, Errno.EINVAL);
  const payload = yield request.length;
  const view = new DataView(payload.buffer, payload.byteOffset + BlockStatusPayload.size, ids);
  request.length = BlockStatusPayload.decode(payload).length;
  request.contexts = Array.from({ length: ids / 4 }, (_, i) => view.getUint32(i * 4));
}

/** Skips a payload. */
function* refused(request: NbdRequest, errno: Errno): Parser<void> {
  yield* skip(request.length);
  request.refused = errno;
}

/** What a parser of requests is told of what was negotiated. */
export type RequestOptions = Partial<Pick<Negotiated, "blockSize" | "flags" | "headers">>;

/**
 * Cuts requests out of bytes. NBD_CMD_DISC is the last one.
 *
 * @param room has to have space before a long payload is collected; the request says how much it holds. Room is taken in the
 *   order of the requests, so that none waits for one that stands behind it. Default: without any
 */
export function requestMessages(
  { blockSize, flags = 0, headers }: RequestOptions,
  room?: Room,
): Messages<NbdRequest> {
  const maximum = blockSize?.maximum ?? MAX_PAYLOAD;
  const readOnly = (flags & TransmissionFlag.READ_ONLY) !== 0;
  const parser = headers === "extended" ? extendedRequest : request;
  const options = { name: "request", isLast: (message: NbdRequest) => message.type === Command.DISC };
  if (!room) return new Messages(() => parser(maximum, readOnly), options);
  let held = 0;

  function* next(): Parser<NbdRequest> {
    const message = yield* parser(maximum, readOnly);
    if (held > 0) message.held = held;
    held = 0;
    return message;
  }

  const admit = (length: number): Promise<void> | undefined => {
    if (length <= SHORT) return undefined;
    held = length;
    return room.acquire(length);
  };

  return new Messages(next, { ...options, admit });
}
