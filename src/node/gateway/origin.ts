import type { IncomingMessage } from "node:http";
import { hostFault } from "../host-rules.ts";

/** Says why a request must not be served, or undefined when it may. */
export function forbidden(request: IncomingMessage, allowedHosts: readonly string[]): string | undefined {
  return hostFault(request.headers.host, request.headers.origin, allowedHosts);
}
