import { createServer, type Server } from "node:net";
import { AddressError } from "../address-error.ts";
import type { Address } from "../config/address.ts";
import { type SystemCalls, systemCalls } from "../kernel/system-calls.ts";
import type { ClaimedAddress } from "./bind.ts";
import { startListening } from "./start-listening.ts";

/**
 * A socket for local NBD clients that listens all the time, as it was there before this process: as long as nothing is served on it
 * whoever connects is hung up on, and can try again.
 */
export class HeldSocket {
  readonly address: Address;
  readonly #fd: number;
  readonly #calls: SystemCalls;
  #refusing: Server | undefined;
  #isClaimed = false;
  #isClosed = false;

  private constructor({ fd, address }: { fd: number; address: Address }, calls: SystemCalls) {
    this.address = address;
    this.#fd = fd;
    this.#calls = calls;
    this.#refuse();
  }

  /** Takes a listening socket over, with its descriptor. */
  static async hold(socket: { fd: number; address: Address }): Promise<HeldSocket> {
    return new HeldSocket(socket, await systemCalls());
  }

  /**
   * Has it for one session.
   * @throws AddressError when another one has it
   */
  claim(): ClaimedAddress {
    if (this.#isClaimed || this.#isClosed)
      throw new AddressError("it is in use by another session", "EADDRINUSE");
    this.#isClaimed = true;
    const server = createServer({ allowHalfOpen: true });
    // A connection that cannot be accepted, as with too many open files, is that client's misfortune only.
    server.on("error", () => {});
    return {
      server,
      open: async () => {
        this.#refusing?.close();
        this.#refusing = undefined;
        await startListening(server, { fd: this.#calls.duplicate(this.#fd) });
        return this.address;
      },
      close: async () => {
        server.close();
        this.#isClaimed = false;
        if (!this.#refusing && !this.#isClosed) this.#refuse();
      },
    };
  }

  /** Lets go of it: nobody listens there any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#refusing?.close();
    this.#calls.close(this.#fd);
  }

  #refuse(): void {
    const server = createServer((socket) => socket.destroy());
    server.on("error", () => {});
    // A descriptor of its own each time: a server that is closed closes what it listens on.
    server.listen({ fd: this.#calls.duplicate(this.#fd) });
    server.unref();
    this.#refusing = server;
  }
}
