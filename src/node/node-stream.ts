import type { Duplex, Readable, Writable } from "node:stream";
import { Ended } from "../streams/ended.ts";
import { giveBack } from "../streams/lent.ts";
import { type Push, push } from "../streams/push.ts";
import { WritableStream } from "../streams/runtime.ts";
import { tryError } from "../streams/try-close.ts";
import { connectionError } from "./system-error.ts";

/** Bytes that may wait to be read before the stream is paused. */
const RECEIVE_BUFFER = 1 << 18;

/** What a chunk takes besides its bytes: very many short ones would hold many times their length. */
const CHUNK_WEIGHT = 1 << 9;

/**
 * Destroys a stream of Node's; with a reason other than `Ended` it fails with it. What was written in this turn of
 * the event loop still goes to the kernel, as far as that takes it at once.
 */
export function destroy(stream: Readable | Writable, reason: unknown): void {
  if ("uncork" in stream) stream.uncork();
  if (reason === undefined || reason instanceof Ended) stream.destroy();
  else stream.destroy(reason instanceof Error ? reason : new Error(String(reason)));
}

/**
 * A readable stream of Node's, or the readable half of a socket, with backpressure. Cancelling with `Ended`
 * leaves the other half of a socket alive. (`Duplex.toWeb` counts bytes as chunks and crashes on half-open sockets.)
 *
 * @param buffer bytes that may wait to be read before the stream is paused; one chunk more may
 */
export function readableOf(stream: Readable, buffer = RECEIVE_BUFFER): ReadableStream<Uint8Array> {
  const cancel = (reason: unknown) => {
    if (!(reason instanceof Ended) || !(stream as Duplex).writable) return destroy(stream, reason);
    // Data that nobody wants any more is drained, or the end of the connection would never be seen.
    stream.removeAllListeners("data");
    stream.resume();
  };
  const incoming = incomingOf(stream, cancel, buffer);
  stream.on("data", (chunk: Uint8Array) => {
    if (!incoming.push(chunk)) stream.pause();
  });
  return incoming.readable;
}

/**
 * Where the chunks of a stream of Node's are pushed to: it ends and fails with the stream, and resumes it. Who pushes pauses it.
 *
 * @param cancel what becomes of the stream when nobody wants more of it
 */
export function incomingOf(
  stream: Readable,
  cancel: (reason: unknown) => void,
  buffer = RECEIVE_BUFFER,
): Push<Uint8Array> {
  const incoming = push<Uint8Array>(
    { highWaterMark: buffer, resume: () => stream.resume(), cancel },
    (chunk) => chunk.byteLength + CHUNK_WEIGHT,
  );
  stream.once("end", () => incoming.close());
  stream.on("error", (error) => incoming.error(connectionError(error)));
  stream.once("close", () => incoming.close());
  return incoming;
}

/**
 * A writable stream of Node's, or the writable half of a socket, with backpressure. What is written in one turn
 * of the event loop leaves together. Closing ends the stream after what was written.
 *
 * What was lent is given back when the stream has written it: it must be done with it then, as sockets and files are, and
 * a PassThrough is not.
 */
export function writableOf(stream: Writable): WritableStream<Uint8Array> {
  let controller!: WritableStreamDefaultController;
  let corked = false;

  function cork() {
    if (corked) return;
    corked = true;
    stream.cork();
    process.nextTick(() => {
      corked = false;
      stream.uncork();
    });
  }

  function gone(): Error {
    if (stream.errored) return connectionError(stream.errored);
    return new Ended("the other side has closed the connection");
  }

  stream.on("error", (error) => tryError(controller, connectionError(error)));
  stream.once("close", () => tryError(controller, gone()));

  return new WritableStream<Uint8Array>({
    start(c) {
      controller = c;
      // abort() waits for the write in flight, which may hang: ending the stream lets it go.
      c.signal.addEventListener("abort", () => destroy(stream, c.signal.reason));
    },
    async write(chunk) {
      if (stream.destroyed) throw gone();
      cork();
      if (!stream.write(chunk, () => giveBack(chunk))) await drained(stream);
    },
    async close() {
      if (stream.destroyed) return;
      await new Promise<void>((resolve) => {
        stream.once("close", resolve);
        stream.end(resolve);
      });
      if (!(stream as Duplex).readable) stream.destroy();
    },
  });
}

/** Waits until a stream has taken what was written, or is gone. */
function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    function done() {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    }
    stream.once("drain", done);
    stream.once("close", done);
  });
}
