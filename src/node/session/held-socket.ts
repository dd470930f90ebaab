import { fstatSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { AddressError } from "../address-error.ts";
import type { Address } from "../config/address.ts";
import { type SystemCalls, systemCalls } from "../kernel/system-calls.ts";
import type { ClaimedAddress } from "./bind.ts";
import { startListening } from "./start-listening.ts";

/** Milliseconds after which whoever connects is refused after all, where there were too many open files. */
const AGAIN = 1000;

/**
 * A socket for local NBD clients that listens all the time, as it was there before this process: as long as nothing is served on it
 * whoever connects is hung up on, and can try again.
 */
export class HeldSocket {
  readonly address: Address;
  readonly #fd: number;
  readonly #calls: Pick<SystemCalls, "duplicate" | "close">;
  #refusing: Server | undefined;
  #again: NodeJS.Timeout | undefined;
  #isClaimed = false;
  #isClosed = false;

  private constructor(
    { fd, address }: { fd: number; address: Address },
    calls: Pick<SystemCalls, "duplicate" | "close">,
  ) {
    this.address = address;
    this.#fd = fd;
    this.#calls = calls;
    void this.#refuse();
  }

  /** Takes a listening socket over, with its descriptor. */
  static async hold(
    socket: { fd: number; address: Address },
    calls?: Pick<SystemCalls, "duplicate" | "close">,
  ): Promise<HeldSocket> {
    return new HeldSocket(socket, calls ?? (await systemCalls()));
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
        await this.#listen(server);
        this.#endRefusing();
        return this.address;
      },
      close: async () => {
        server.close();
        this.#isClaimed = false;
        if (!this.#refusing && !this.#isClosed) void this.#refuse();
      },
    };
  }

  /** Lets go of it: nobody listens there any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endRefusing();
    this.#calls.close(this.#fd);
  }

  /** Hangs up on whoever connects; where that is not possible now, soon. Never fails. */
  async #refuse(): Promise<void> {
    const server = createServer((socket) => socket.destroy());
    server.on("error", () => {});
    server.unref();
    this.#refusing = server;
    try {
      await this.#listen(server);
    } catch {
      if (this.#refusing !== server) return;
      this.#refusing = undefined;
      this.#again = setTimeout(() => void this.#refuse(), AGAIN).unref();
    }
  }

  #endRefusing(): void {
    clearTimeout(this.#again);
    this.#refusing?.close();
    this.#refusing = undefined;
  }

  /** Has a server listen, on a descriptor of its own: a server that is closed closes what it listens on. */
  async #listen(server: Server): Promise<void> {
    const fd = this.#calls.duplicate(this.#fd);
    const { ino } = fstatSync(fd);
    try {
      await startListening(server, { fd });
    } catch (error) {
      // A server that has taken it before it failed has closed it.
      if (isOpen(fd, ino)) this.#calls.close(fd);
      throw error;
    }
  }
}

/** Whether a descriptor is still that of the file with this inode. */
function isOpen(fd: number, ino: number): boolean {
  try {
    return fstatSync(fd).ino === ino;
  } catch {
    return false;
  }
}
