import { ipAddress } from "../ip-address.ts";

/** How a reverse proxy reaches the gateway: from an IP address, or through a unix socket. */
export type ProxyAddress = { address: string } | { path: string };

/** The rule for them, for messages. */
export const PROXY_RULE = "a proxy is given by its IP address, or as unix:PATH";

/** Reads an IP address, or "unix:PATH" with a slash in it. Returns undefined if it is neither. */
export function proxyAddress(text: string): ProxyAddress | undefined {
  const path = /^unix:([^\0]*\/[^\0]*)$/.exec(text)?.[1];
  if (path !== undefined) return { path };
  const address = ipAddress(text);
  return address === undefined ? undefined : { address };
}
