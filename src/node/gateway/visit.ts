import type { IncomingMessage } from "node:http";
import type { Visit } from "./admission.ts";
import { directOrigination, type Peer, type Proxies } from "./proxies.ts";

/** A request as admission sees it. What proxies say is believed only where there are some, and then only of them. */
export function visitOf(request: IncomingMessage, proxies: Proxies | undefined): Visit {
  const { method, url, httpVersion, headers, rawHeaders } = request;
  const peer: Peer = request.socket;
  const direct = directOrigination(peer, headers);
  const told = proxies?.originationOf(peer, headers) ?? direct;
  const origination = "words" in told ? { ...direct, unbelieved: told } : told;
  return { method, url, httpVersion, headers, rawHeaders, ...origination };
}
