import { checkObject } from "../../streams/check.ts";

/** Where local NBD clients find an export. */
export type Address = { path: string } | { host: string; port: number };

/** Bytes of the longest path that fits into the system's address of a unix socket. */
export const MAX_SOCKET_PATH = process.platform === "darwin" ? 103 : 107;

/** What is wrong with the path of a unix socket that is too long: the system would cut it, and use another one. */
export function tooLongPath(path: string): string | undefined {
  const length = Buffer.byteLength(path);
  if (length <= MAX_SOCKET_PATH) return undefined;
  return `the path of a unix socket has at most ${MAX_SOCKET_PATH} bytes, this one ${length}`;
}

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
