import type { ReadableStream, WritableStream } from "./runtime.ts";

/** Both halves of one channel: what comes out of it, and what goes into it. */
export interface Duplex<Out, In = Out> {
  readonly readable: ReadableStream<Out>;
  readonly writable: WritableStream<In>;
}

/** What `pipeThrough()` takes: `In` goes into its writable, `Out` comes out of its readable. */
export type Layer<In, Out> = Duplex<Out, In>;

/**
 * Bytes with an end of life: stdio, WebSocket, unix or TCP socket, kernel socket, in-memory pair.
 *
 * The readable gives chunks of any size and ends when the other side ended cleanly. A chunk that was written
 * belongs to the transport from then on.
 */
export interface Transport extends Duplex<Uint8Array> {
  /** Resolves when both directions have ended, rejects when either broke. It is safe to ignore. */
  readonly closed: Promise<void>;
  /** Ends both directions at once. With a reason both streams fail with it; what is queued is dropped. */
  close(reason?: unknown): void;
}
