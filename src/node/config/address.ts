import { checkObject } from "../../streams/check.ts";

/** Where local NBD clients find an export. */
export type Address = { path: string } | { host: string; port: number };

/**
 * Reads "unix:PATH" or "tcp:HOST:PORT", an IPv6 host in brackets. Port 0 is one that is free.
 * @returns undefined when it is neither
 */
export function parseAddress(text: string): Address | undefined {
  // What begins with a NUL would be no file but a name that everybody on the machine may connect to (unix(7)).
  const unix = /^unix:([^\0]+)$/.exec(text);
  if (unix) return /^\.\.?$/.test(unix[1]!) ? undefined : { path: unix[1]! };
  const tcp = /^tcp:(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (!tcp) return undefined;
  const port = Number(tcp[3]);
  return port <= 65535 ? { host: (tcp[1] ?? tcp[2])!, port } : undefined;
}

/** An address as `parseAddress` reads it. */
export function formatAddress(address: Address): string {
  checkObject(address, "the address");
  if ("path" in address) return `unix:${address.path}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `tcp:${host}:${address.port}`;
}
