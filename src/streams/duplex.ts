import type { ReadableStream, WritableStream } from "./runtime.ts";

/** Both halves of one channel: what comes out of it, and what goes into it. */
export interface Duplex<Out, In = Out> {
  readonly readable: ReadableStream<Out>;
  readonly writable: WritableStream<In>;
}

/** What `pipeThrough()` takes: `In` goes into its writable and `Out` comes out of its readable. */
export type Layer<In, Out> = Duplex<Out, In>;

/**
 * A channel of bytes that can be closed: stdio, a WebSocket, a unix or TCP socket, a kernel socket, a pair in memory.
 *
 * The readable gives chunks of any size, and ends when the other side has ended in order. A chunk that was written belongs
 * to the transport.
 */
export interface Transport extends Duplex<Uint8Array> {
  /** Resolves when both directions have ended and rejects when either has failed. It is safe to ignore. */
  readonly closed: Promise<void>;
  /** Ends both directions at once and drops what is queued. With a reason, both streams fail with it. */
  close(reason?: unknown): void;
}
