import type { Layer } from "../../streams/duplex.ts";
import { transform } from "../../streams/transform.ts";
import { CommandFlag } from "../constants.ts";
import { gather } from "../gather.ts";
import { ExtendedRequest, Request } from "../messages.ts";
import type { NbdRequest, Negotiated } from "../transmission.ts";

/** The layer from requests to bytes, with the headers that were negotiated (proto.md, "Request message"). */
export function requestEncoder({
  headers,
}: Pick<Negotiated, "headers"> = {}): Layer<NbdRequest[], Uint8Array> {
  const encode = headers === "extended" ? extended : (request: NbdRequest) => Request.encode(request);
  return transform<NbdRequest[], Uint8Array>({
    transform(requests, controller) {
      gather(requests, encode, (chunk) => controller.enqueue(chunk));
    },
  });
}

function extended(request: NbdRequest): Uint8Array {
  if (!request.payload) return ExtendedRequest.encode(request);
  return ExtendedRequest.encode({ ...request, flags: request.flags | CommandFlag.PAYLOAD_LEN });
}
