import { CommandFlag } from "../constants.ts";
import { gather } from "../gather.ts";
import { ExtendedRequest, Request } from "../messages.ts";
import type { NbdRequest, Negotiated } from "../transmission.ts";

/** Makes what hands requests on as bytes, with the headers that were negotiated (proto.md, "Request message"). */
export function encodeRequests({
  headers,
}: Pick<Negotiated, "headers">): (requests: NbdRequest[], emit: (chunk: Uint8Array) => void) => void {
  const encode = headers === "extended" ? extended : (request: NbdRequest) => Request.encode(request);
  return (requests, emit) => gather(requests, encode, emit);
}

function extended(request: NbdRequest): Uint8Array {
  if (!request.payload) return ExtendedRequest.encode(request);
  return ExtendedRequest.encode({ ...request, flags: request.flags | CommandFlag.PAYLOAD_LEN });
}
