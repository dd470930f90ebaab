import type { Server } from "node:net";
import type { Address } from "../config/address.ts";
import { claimSocketPath } from "./socket-path.ts";

/**
 * Has a server listen at an address. A unix socket has mode 0600.
 * @throws Error when the address is in use or cannot be had
 */
export async function bind(server: Server, address: Address): Promise<void> {
  if ("path" in address) await claimSocketPath(address.path);
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(address, () => resolve());
      // bind(2), which makes the socket file, has happened by now.
      process.umask(umask);
    });
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    throw new Error(faults[code] ?? message);
  } finally {
    process.umask(umask);
  }
}

const faults: Readonly<Record<string, string>> = {
  EADDRINUSE: "it is in use by another process",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "there is no such folder, or permission is denied",
  ENOENT: "there is no such folder",
};

/** Where a server listens that was to listen at `address`: a port of 0 has become the one that was free. */
export function boundAddress(server: Server, address: Address): Address {
  if ("path" in address) return address;
  const bound = server.address();
  return bound && typeof bound === "object" ? { host: address.host, port: bound.port } : address;
}
