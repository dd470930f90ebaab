import { statSync } from "node:fs";
import { messageOf } from "../../streams/message-of.ts";
import { quoted } from "../../streams/quoted.ts";
import type { Address } from "../config/address.ts";
import { SO_ACCEPTCONN, SO_TYPE, SOCK_STREAM, SOL_SOCKET, systemCalls } from "../kernel/system-calls.ts";
import { claimSocketFolder } from "../session/socket-folder.ts";
import type { NamedSocket } from "../socket-activation.ts";
import { hasErrno } from "../system-call-error.ts";
import { reasonOf } from "../system-error.ts";
import { readAddress } from "./socket-address.ts";

/** A socket that listened when this process was started, and where. */
export interface InheritedSocket extends NamedSocket {
  address: Address;
}

const OTHERS_WRITE = 0o002;

/**
 * Looks at sockets that were handed over, by what the kernel says of them.
 * @throws Error with the descriptor and its name, when one does not listen for connections, or where nothing can be judged
 */
export async function inheritedSockets(sockets: readonly NamedSocket[]): Promise<InheritedSocket[]> {
  if (sockets.length === 0) return [];
  const { getsockopt, getsockname } = await systemCalls();
  return sockets.map((socket) => {
    const { fd, name } = socket;
    const what = `descriptor ${fd}, called ${quoted(name)},`;
    try {
      if (
        getsockopt(fd, SOL_SOCKET, SO_TYPE) !== SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN) !== 1
      )
        throw new Error("it does not listen; ListenStream= makes such a socket");
    } catch (error) {
      const isNone = hasErrno(error, "ENOTSOCK", "EBADF");
      throw new Error(`${what} is no listening socket: ${isNone ? "it is no socket" : messageOf(error)}`);
    }
    const address = readAddress(getsockname(fd));
    if (!address)
      throw new Error(`${what} has an address that cannot be kept from others; use a path, IPv4 or IPv6`);
    return { ...socket, address };
  });
}

/**
 * Judges who may come to a unix socket that somebody else has made, as if it were ours.
 * @throws Error when everybody may, or when somebody else could put another in its place
 */
export function judgeSocketFile(path: string): void {
  claimSocketFolder(path);
  let mode: number;
  try {
    ({ mode } = statSync(path));
  } catch (error) {
    throw new Error(`who may connect to ${path} cannot be seen: ${reasonOf(error)}`);
  }
  if (mode & OTHERS_WRITE)
    throw new Error(
      `every user may connect to ${path}; SocketMode=0660 and SocketGroup= in the .socket unit mend that`,
    );
}
