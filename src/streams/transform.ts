import { checkMethods } from "./check.ts";
import type { Layer } from "./duplex.ts";
import { Ended } from "./ended.ts";
import { ReadableStream, WritableStream } from "./runtime.ts";
import { tryClose, tryError } from "./try-close.ts";

export interface TransformController<Out> {
  /** Hands a chunk downstream. The write in progress settles only once the consumer has made room again. */
  enqueue(chunk: Out): void;
  /** Waits until the consumer has taken what was handed on, or it no longer matters: called before a failure. */
  taken(): Promise<void>;
  /** Ends the layer from within: the readable closes after what is queued, the writer is told `Ended`. */
  end(): void;
  /** Fails both sides of the layer at once; what is queued is dropped. */
  fail(reason: unknown): void;
}

export interface Transformer<In, Out> {
  /**
   * Whether a write settles only when the consumer asks for more, and so has dealt with the chunk, instead of when
   * it has taken it. A chain of such layers holds one chunk in all. Default false.
   */
  lockstep?: boolean;
  /** Called at once, for those who need the controller outside of `transform`. */
  start?(controller: TransformController<Out>): void;
  /** Called for each chunk. What it throws fails both sides. */
  transform(chunk: In, controller: TransformController<Out>): void | Promise<void>;
  /** Called when the writer has closed, before the readable closes. What it throws fails the readable. */
  flush?(controller: TransformController<Out>): void | Promise<void>;
  /** Called once when the layer is over: without a reason when its readable closed. */
  over?(reason?: unknown): void;
}

/**
 * A TransformStream with the two ends of life that TransformStream lacks: the layer can end by itself without
 * that looking like a failure (`controller.end()`), and a writer that aborts with `Ended` closes the readable
 * instead of failing it.
 */
export function transform<In, Out>(transformer: Transformer<In, Out>): Layer<In, Out> {
  checkMethods(transformer, "the transformer", "an object with transform()", ["transform"]);
  let output!: ReadableStreamDefaultController<Out>;
  let input!: WritableStreamDefaultController;
  let wake: (() => void) | undefined;
  let isOver = false;
  /** The consumer has asked for more since the last chunk was handed on. */
  let isAsked = true;

  function finish(reason?: unknown) {
    if (isOver) return;
    isOver = true;
    if (reason === undefined || reason instanceof Ended) tryClose(output);
    else tryError(output, reason);
    wake?.();
    transformer.over?.(reason instanceof Ended ? undefined : reason);
  }

  async function taken() {
    if (isOver || input.signal.aborted || isAsked || (output.desiredSize ?? 0) > 0) return;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    wake = undefined;
  }

  const controller: TransformController<Out> = {
    enqueue(chunk) {
      if (isOver) return;
      isAsked = false;
      output.enqueue(chunk);
    },
    taken,
    end() {
      finish();
      tryError(input, new Ended());
    },
    fail(reason) {
      finish(reason);
      tryError(input, reason);
    },
  };

  const readable = new ReadableStream<Out>(
    {
      start(c) {
        output = c;
      },
      pull() {
        isAsked = true;
        wake?.();
      },
      cancel(reason) {
        finish(reason);
        tryError(input, reason ?? new Ended());
      },
    },
    { highWaterMark: transformer.lockstep ? 0 : 1 },
  );

  const writable = new WritableStream<In>({
    start(c) {
      input = c;
      // abort() waits for the write in flight, which may be waiting for a consumer that never comes.
      c.signal.addEventListener("abort", () => wake?.());
    },
    async write(chunk) {
      try {
        const work = transformer.transform(chunk, controller);
        if (work) await work;
      } catch (error) {
        finish(error);
        throw error;
      }
      await taken();
    },
    async close() {
      try {
        await transformer.flush?.(controller);
        finish();
      } catch (error) {
        finish(error);
        throw error;
      }
    },
    abort(reason) {
      finish(reason ?? new Error("the writer aborted"));
    },
  });

  transformer.start?.(controller);
  return { readable, writable };
}
