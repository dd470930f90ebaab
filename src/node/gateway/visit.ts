import type { IncomingMessage } from "node:http";
import type { Visit } from "./admission.ts";

/** A request as admission sees it. */
export function visitOf(request: IncomingMessage): Visit {
  const { method, url, httpVersion, headers, rawHeaders, socket } = request;
  const { remoteAddress = "", encrypted = false } = socket as { remoteAddress?: string; encrypted?: boolean };
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, "");
  return { method, url, httpVersion, headers, rawHeaders, address, isSecure: encrypted, host: headers.host };
}
