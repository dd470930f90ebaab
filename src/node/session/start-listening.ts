import type { Server } from "node:net";
import type { Address } from "../config/address.ts";

/**
 * Has a server listen at an address, or on a socket that listens already. A unix socket gets the mode 0600.
 * @throws the error of bind(2)
 */
export async function startListening(server: Server, address: Address | { fd: number }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    const umask = process.umask(0o177);
    try {
      server.listen(address, resolve);
    } finally {
      // bind(2), which makes the socket file, has happened by now.
      process.umask(umask);
    }
  });
}
