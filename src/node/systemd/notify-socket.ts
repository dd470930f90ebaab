import { setTimeout } from "node:timers/promises";
import { messageOf } from "../../streams/message-of.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, systemCalls } from "../kernel/system-calls.ts";
import { hasErrno } from "../system-call-error.ts";
import { unixAddress } from "./socket-address.ts";

/** How often a message is sent that the service manager has no room for yet, and milliseconds in between. */
const ATTEMPTS = 100;
const INTERVAL = 50;

/** Takes messages of sd_notify(3), in order. */
export interface NotifySocket {
  /** Sends assignments, a line each. Resolves when it is sent, or cannot be; never fails. */
  send(...assignments: readonly string[]): Promise<void>;
  close(): void;
}

/**
 * The socket on which a service manager waits for messages.
 * @param name a path, or "@NAME" in the abstract namespace
 * @param warn takes a line, once, when a message cannot be sent
 * @throws Error when there can be no such socket, or this platform has no way to send to it
 */
export async function notifySocket(name: string, warn: (line: string) => void): Promise<NotifySocket> {
  const address = unixAddress(name);
  const calls = await systemCalls();
  const fd = calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  let last: Promise<void> = Promise.resolve();
  let isClosed = false;
  let hasWarned = false;

  /** Without ever waiting in a system call: a manager that is stuck must not stop this process. */
  async function deliver(message: Uint8Array): Promise<void> {
    for (let attempt = 1; !isClosed; attempt++) {
      try {
        return calls.sendTo(fd, message, address);
      } catch (error) {
        if (!hasErrno(error, "EAGAIN", "ENOBUFS") || attempt === ATTEMPTS) throw error;
      }
      await setTimeout(INTERVAL, undefined, { ref: false });
    }
  }

  return {
    send(...assignments) {
      const message = Buffer.from(`${assignments.join("\n")}\n`);
      last = last
        .then(() => deliver(message))
        .catch((error: unknown) => {
          if (!hasWarned) warn(`telling the service manager at ${name}: ${messageOf(error)}`);
          hasWarned = true;
        });
      return last;
    },
    close() {
      if (!isClosed) calls.close(fd);
      isClosed = true;
    },
  };
}
