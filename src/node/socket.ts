import type { Socket } from "node:net";
import { checkMethods } from "../streams/check.ts";
import { deferred } from "../streams/deferred.ts";
import type { Transport } from "../streams/duplex.ts";
import { destroy, readableOf, writableOf } from "./node-stream.ts";
import { connectionError } from "./system-error.ts";

/** Bytes that may wait to be read. There may be many clients, and no budget counts what they have sent ahead. */
const RECEIVE_BUFFER = 1 << 16;

/**
 * A transport over a connected unix or TCP socket. The socket belongs to the transport. Make it with
 * `allowHalfOpen: true`, so that what was asked before the other side ended its half is still answered.
 */
export function socketTransport(socket: Socket): Transport {
  checkMethods(socket, "the socket", "a socket of node:net", ["on", "write", "destroy", "pause"]);
  const closed = deferred();
  socket.once("close", () =>
    socket.errored ? closed.reject(connectionError(socket.errored)) : closed.resolve(),
  );
  return {
    readable: readableOf(socket, RECEIVE_BUFFER),
    writable: writableOf(socket),
    closed: closed.promise,
    close: (reason) => destroy(socket, reason),
  };
}
