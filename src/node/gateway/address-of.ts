import type { Duplex } from "node:stream";

/** The address of a connection's other side; "" where it has none, as on a unix socket. */
export function addressOf(socket: Duplex): string {
  const { remoteAddress = "" } = socket as { remoteAddress?: string };
  return remoteAddress.replace(/^::ffff:(?=\d+\.)/, "");
}
