import { Socket, type SocketConstructorOpts } from "node:net";
import { push } from "../streams/push.ts";
import { spareMemory } from "../streams/reused-memory.ts";
import { connectionError } from "./system-error.ts";

/** The most that is received at once, in bytes. A pipe has room for 64 KiB, unless somebody has made it larger. */
const PLACE = 1 << 18;

/** Bytes that may wait to be read before the pipe is paused; what was received at once comes on top. */
const RECEIVE_BUFFER = 1 << 18;

/** What a chunk takes besides its bytes: very many short ones would hold many times their length. */
const CHUNK_WEIGHT = 1 << 9;

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
  const incoming = push<Uint8Array>(
    {
      highWaterMark: RECEIVE_BUFFER,
      resume: () => socket.resume(),
      cancel: () => void socket.destroy(),
    },
    (chunk) => chunk.byteLength + CHUNK_WEIGHT,
  );
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
  socket.resume();
  socket.once("end", () => incoming.close());
  socket.on("error", (error) => incoming.error(connectionError(error)));
  socket.once("close", () => incoming.close());
  return { stream: socket, readable: incoming.readable };
}
