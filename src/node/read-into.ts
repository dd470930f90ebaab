import { Socket, type SocketConstructorOpts } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";

/** Provides the memory that received bytes are put into. */
export interface Reader {
  /**
   * Memory for the next bytes, at least one byte. It must not be touched until the `take` that follows; after that it is asked
   * for anew. The first place may be filled after later ones: it is for `head`.
   */
  place(): Uint8Array;
  /** Takes the bytes that were received: the beginning of a place. */
  take(bytes: Uint8Array): void;
}

/** The handle of a socket's connection, which Node's types do not name. */
interface Held {
  _handle?: object | null;
}

/**
 * Has what a stream receives put into the reader's memory. On a socket the system writes it there directly; Node would
 * allocate new memory for every 64 KiB (test/bench/README.md, "Read into place").
 *
 * Node offers this (`onread`) only for sockets that a program makes, not for those that a server accepts. So the accepted
 * connection's handle is moved to a new socket. Where that is not possible the bytes are copied.
 *
 * A paused socket takes nothing from the system. It notices a broken connection at the next write, or when it is resumed;
 * what had arrived by then may be lost.
 *
 * @param stream must have no reader, and nothing left to write
 * @param head bytes that came before; the reader is given them first
 * @returns the stream to use from now on; `stream` itself ends with it
 */
export function readInto(stream: Duplex, head: Uint8Array, reader: Reader): Duplex {
  if (stream instanceof Socket && !(stream instanceof TLSSocket) && (stream as Held)._handle) {
    process.nextTick(() => copyInto(reader, head));
    return handedOver(stream, reader);
  }
  if (head.byteLength > 0) stream.unshift(head);
  stream.on("data", (chunk: Uint8Array) => copyInto(reader, chunk));
  // What had come before the connection broke, while it was paused.
  stream.once("close", () => copyInto(reader, (stream.read() as Uint8Array | null) ?? NOTHING));
  return stream;
}

const NOTHING = new Uint8Array(0);

function copyInto(reader: Reader, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength; ) {
    const place = reader.place();
    const some = bytes.subarray(at, at + place.byteLength);
    place.set(some);
    at += some.byteLength;
    reader.take(place.subarray(0, some.byteLength));
  }
}

function handedOver(from: Socket & Held, reader: Reader): Socket {
  const handle = from._handle;
  from._handle = null;
  const onread = {
    buffer: () => reader.place(),
    callback(length: number, place: Uint8Array) {
      reader.take(place.subarray(0, length));
      return true; // a reader that wants no more pauses the socket
    },
  };
  const { allowHalfOpen } = from;
  const to = new Socket({ handle, allowHalfOpen, onread } as SocketConstructorOpts);
  from.on("error", () => {}); // from a write to the old socket
  // The server counts the socket that it made.
  to.once("close", () => from.destroy());
  return to;
}
