import { Socket, type SocketConstructorOpts } from "node:net";
import { spareMemory } from "../streams/reused-memory.ts";
import { destroy, incomingOf } from "./node-stream.ts";

/** The most that is received at once, in bytes. A pipe has room for 64 KiB, unless somebody has made it larger. */
const PLACE = 1 << 18;

/** Fewer bytes than this are copied, so that they do not hold a whole place. */
const SHORT = 1 << 14;

export interface PipeInput {
  readonly stream: Socket;
  /** Ends with the socket, and fails with what that failed with. Its long chunks are lent. */
  readonly readable: ReadableStream<Uint8Array>;
}

/**
 * What comes out of a pipe, or of a socket that is read only, by its descriptor. The system puts it into memory that is used
 * again; Node would allocate new memory for every 64 KiB (test/bench/README.md, "Read into place").
 */
export function pipeInput(fd: number): PipeInput {
  let place = spareMemory.take(PLACE);
  const onread = {
    buffer: () => new Uint8Array(place),
    callback(length: number) {
      let chunk: Uint8Array;
      if (length < SHORT) chunk = new Uint8Array(place, 0, length).slice();
      else {
        chunk = spareMemory.lend(place, length);
        place = spareMemory.take(PLACE);
      }
      if (!incoming.push(chunk)) socket.pause();
      return true;
    },
  };
  const socket = new Socket({
    fd,
    readable: true,
    writable: false,
    allowHalfOpen: true,
    onread,
  } as SocketConstructorOpts);
  const incoming = incomingOf(socket, (reason) => destroy(socket, reason));
  socket.resume();
  return { stream: socket, readable: incoming.readable };
}
