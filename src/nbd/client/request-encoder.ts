import type { Layer } from "../../streams/duplex.ts";
import { transform } from "../../streams/transform.ts";
import { gather } from "../gather.ts";
import { Request } from "../messages.ts";
import type { NbdRequest } from "../transmission.ts";

/** The layer from requests to bytes (proto.md, "Request message"). */
export function requestEncoder(): Layer<NbdRequest[], Uint8Array> {
  return transform<NbdRequest[], Uint8Array>({
    transform(requests, controller) {
      gather(
        requests,
        (request) => Request.encode(request),
        (chunk) => controller.enqueue(chunk),
      );
    },
  });
}
