import { createServer, type Server, type Socket } from "node:net";
import { AddressError } from "../address-error.ts";
import type { Address } from "../config/address.ts";
import { claimSocketPath } from "./socket-path.ts";
import type { SocketPermissions } from "./socket-permissions.ts";
import { startListening } from "./start-listening.ts";

/** An address of this machine that is ours, before clients are let in. */
export interface ClaimedAddress {
  /** What listens there, or will. */
  readonly server: Server;
  /**
   * Lets clients in. Before that a unix socket is not there, and connections to a TCP port are ended at once.
   * @returns where it listens; a port of 0 has become the one that was free
   * @throws Error when something is there by now
   */
  open(): Promise<Address>;
  /** Lets nobody in any more and gives the address back. Connections that there are go on. */
  close(): Promise<void>;
}

/**
 * Claims an address. A unix socket gets the mode 0600, unless `permissions` say otherwise.
 * @throws Error in words when it is in use, or cannot be had
 */
export async function claimAddress(
  address: Address,
  permissions?: SocketPermissions,
): Promise<ClaimedAddress> {
  const server = createServer({ allowHalfOpen: true });
  // A connection that cannot be accepted, as with too many open files, is that client's misfortune only.
  server.on("error", () => {});
  return inWords(() =>
    "path" in address ? claimPath(server, address, permissions) : claimPort(server, address),
  );
}

async function claimPath(
  server: Server,
  address: Address & { path: string },
  permissions?: SocketPermissions,
): Promise<ClaimedAddress> {
  // On Windows it names a pipe, which is not a file and goes with its process.
  const claimed = process.platform === "win32" ? undefined : await claimSocketPath(address.path, permissions);
  return {
    server,
    async open() {
      await inWords(() => (claimed ? claimed.listen(server) : startListening(server, address)));
      return address;
    },
    async close() {
      await claimed?.release();
      server.close();
    },
  };
}

async function claimPort(server: Server, address: Address & { host: string }): Promise<ClaimedAddress> {
  const refuse = (socket: Socket) => socket.destroy();
  server.on("connection", refuse);
  await startListening(server, address);
  return {
    server,
    async open() {
      server.off("connection", refuse);
      const bound = server.address();
      return bound && typeof bound === "object" ? { host: address.host, port: bound.port } : address;
    },
    async close() {
      server.close();
    },
  };
}

async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AddressError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new AddressError(faults[code ?? ""] ?? message, code, { cause: error });
  }
}

const faults: Readonly<Record<string, string>> = {
  EADDRINUSE: "it is in use by another process",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "permission is denied",
  ENOENT: "there is no such folder",
  ENOTFOUND: "there is no host of that name",
};
