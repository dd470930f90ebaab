import { ReadableStream } from "./runtime.ts";
import { tryClose, tryError } from "./try-close.ts";

export interface PushOptions {
  /** Called when the consumer has made room after `push()` returned false. */
  resume?(): void;
  /** Called once, when the consumer cancels. What is pushed after that is ignored. */
  cancel?(reason: unknown): void | Promise<void>;
  /** How much may be queued before `push()` says stop, in the unit of `size`. Default 1. */
  highWaterMark?: number;
}

/** A ReadableStream for sources that push: sockets, WebSockets, events. */
export interface Push<T> {
  readonly readable: ReadableStream<T>;
  /** How much waits to be read, in the unit of `size`. */
  readonly queued: number;
  /**
   * Queues a chunk, however full the queue is: a source that pushes cannot take it back. **False asks the source to pause**
   * until `resume()` is called.
   */
  push(chunk: T): boolean;
  /** Ends the stream after what is queued. It does nothing if the stream has ended already. */
  close(): void;
  /** Fails the stream at once and drops what is queued. It does nothing if the stream has ended already. */
  error(reason: unknown): void;
}

/** Makes a push source of chunks; `size` measures a chunk (default: each counts 1). */
export function push<T>(options: PushOptions = {}, size: (chunk: T) => number = () => 1): Push<T> {
  let controller!: ReadableStreamDefaultController<T>;
  let live = true;
  let paused = false;
  const { highWaterMark = 1 } = options;
  const readable = new ReadableStream<T>(
    {
      start(c) {
        controller = c;
      },
      pull() {
        if (!paused) return;
        paused = false;
        options.resume?.();
      },
      cancel(reason) {
        live = false;
        return options.cancel?.(reason);
      },
    },
    { highWaterMark, size },
  );
  return {
    readable,
    get queued() {
      return highWaterMark - (controller.desiredSize ?? highWaterMark);
    },
    push(chunk) {
      if (!live) return false;
      controller.enqueue(chunk);
      paused = (controller.desiredSize ?? 0) <= 0;
      return !paused;
    },
    close() {
      live = false;
      tryClose(controller);
    },
    error(reason) {
      live = false;
      tryError(controller, reason);
    },
  };
}
