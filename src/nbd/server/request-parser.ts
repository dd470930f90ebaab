import { Errno } from "../../export/error.ts";
import type { Room } from "../../streams/budget.ts";
import type { Layer } from "../../streams/duplex.ts";
import { type Parser, parse } from "../../streams/parse.ts";
import { Command, MAX_PAYLOAD, TransmissionFlag } from "../constants.ts";
import { Request } from "../messages.ts";
import type { NbdRequest, Negotiated } from "../transmission.ts";

const SKIP = 1 << 16;

/**
 * Parses one request (proto.md, "Request message"). The payload of a WRITE that will be refused, as it is longer than
 * `maximum` bytes or the export is read-only, is skipped in small pieces, never held.
 */
export function* request(maximum: number, readOnly = false): Parser<NbdRequest> {
  const request: NbdRequest = Request.decode(yield Request.size);
  if (request.type !== Command.WRITE) return request;
  if (request.length <= maximum && !readOnly) {
    request.payload = yield request.length;
    return request;
  }
  for (let left = request.length; left > 0; left -= SKIP) yield Math.min(left, SKIP);
  request.refused = readOnly ? Errno.EPERM : Errno.EINVAL;
  return request;
}

export interface RequestParserOptions {
  /** Room for the payloads of WRITEs; without it they are collected as they come, one at a time. */
  room?: Room;
}

/**
 * The layer from bytes to requests. It ends after NBD_CMD_DISC, which it hands on too, and fails with
 * ProtocolError at a wrong magic and UnexpectedEndError at an end inside a request.
 *
 * Where there is `room`, the layer waits for it before it collects a long payload; the request says how much it holds.
 * Room is taken in the order of the requests, so that none waits for one that stands behind it.
 */
export function requestParser(
  negotiated: Partial<Pick<Negotiated, "blockSize" | "flags">>,
  { room }: RequestParserOptions = {},
): Layer<Uint8Array, NbdRequest[]> {
  const maximum = negotiated.blockSize?.maximum ?? MAX_PAYLOAD;
  const readOnly = ((negotiated.flags ?? 0) & TransmissionFlag.READ_ONLY) !== 0;
  let held = 0;

  function* roomy(): Parser<NbdRequest> {
    const message = yield* request(maximum, readOnly);
    if (held > 0) message.held = held;
    held = 0;
    return message;
  }

  function admit(length: number): Promise<void> | undefined {
    if (length <= SKIP) return undefined;
    held = length;
    return room!.acquire(length);
  }

  return parse(room ? roomy : () => request(maximum, readOnly), {
    name: "request",
    ...(room && { admit }),
    isLast: (message) => message.type === Command.DISC,
  });
}
