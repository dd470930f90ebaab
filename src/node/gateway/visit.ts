import type { IncomingMessage } from "node:http";
import { isIPv6, type Socket } from "node:net";
import { ipAddress } from "../ip-address.ts";
import type { Visit } from "./admission.ts";
import { directOrigination, isExposed, type Peer, type Proxies } from "./proxies.ts";

/** A request as admission sees it. What proxies say is believed only where there are some, and then only of them. */
export function visitOf(request: IncomingMessage, proxies: Proxies | undefined): Visit {
  const { method, url, httpVersion, headers, rawHeaders } = request;
  const peer: Peer = request.socket;
  const direct = directOrigination(peer, headers);
  const own = proxies || peer.encrypted ? undefined : ownAuthority(request.socket);
  const told = proxies?.originationOf(peer, headers) ?? direct;
  const visit = { method, url, httpVersion, headers, rawHeaders, own };
  if ("words" in told) return { ...visit, ...direct, unbelieved: told };
  return { ...visit, ...told, isExposed: proxies !== undefined && isExposed(told, headers) };
}

/** Host and port of this end of a connection, as a Host header has them. */
function ownAuthority({ localAddress = "", localPort = 0 }: Socket): string {
  const address = ipAddress(localAddress) ?? localAddress;
  const host = isIPv6(address) ? `[${address}]` : address;
  return localPort === 80 ? host : `${host}:${localPort}`;
}
