import { Errno } from "../../export/error.ts";
import type { Layer } from "../../streams/duplex.ts";
import { type Parser, parse } from "../../streams/parse.ts";
import { Command, MAX_PAYLOAD } from "../constants.ts";
import { Request } from "../messages.ts";
import type { NbdRequest, Negotiated } from "../transmission.ts";

const SKIP = 1 << 16;

/**
 * Parses one request (proto.md, "Request message"). The payload of a WRITE that is longer than `maximum` bytes
 * is skipped in small pieces, never held, and the request is marked as refused.
 */
export function* request(maximum: number): Parser<NbdRequest> {
  const request: NbdRequest = Request.decode(yield Request.size);
  if (request.type !== Command.WRITE) return request;
  if (request.length <= maximum) {
    request.payload = yield request.length;
    return request;
  }
  for (let left = request.length; left > 0; left -= SKIP) yield Math.min(left, SKIP);
  request.refused = Errno.EINVAL;
  return request;
}

/**
 * The layer from bytes to requests. It ends after NBD_CMD_DISC, which it hands on too, and fails with
 * ProtocolError at a wrong magic and UnexpectedEndError at an end inside a request.
 */
export function requestParser(negotiated: Pick<Negotiated, "blockSize">): Layer<Uint8Array, NbdRequest[]> {
  const maximum = negotiated.blockSize?.maximum ?? MAX_PAYLOAD;
  return parse(() => request(maximum), {
    name: "request",
    isLast: (message) => message.type === Command.DISC,
  });
}
