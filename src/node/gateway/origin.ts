import type { IncomingMessage } from "node:http";
import { foreign } from "../host-rules.ts";

/** Says why a request must not be served, or undefined when it may. */
export function forbidden(request: IncomingMessage, allowedHosts: readonly string[]): string | undefined {
  return foreign(request.headers, allowedHosts)?.words;
}
