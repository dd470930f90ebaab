import { checkMethods } from "./check.ts";
import type { Layer } from "./duplex.ts";
import { Ended } from "./ended.ts";
import { ReadableStream, WritableStream } from "./runtime.ts";
import { tryClose, tryError } from "./try-close.ts";

export interface TransformController<Out> {
  /** Hands a chunk to the consumer. The write in progress settles once the consumer has made room. */
  enqueue(chunk: Out): void;
  /** Resolves when the consumer has taken the last chunk, or never will. Await it before failing, which drops the queue. */
  taken(): Promise<void>;
  /** Ends the layer from within: the readable closes after what is queued, and the writer fails with `Ended`. */
  end(): void;
  /** Fails both sides of the layer at once and drops what is queued. */
  fail(reason: unknown): void;
}

export interface LayerTransformer<In, Out> {
  /**
   * If true, a write settles when the consumer asks for the next chunk, not when it takes this one. A chain of such layers
   * holds one chunk in all. Default false.
   */
  lockstep?: boolean;
  /** Called once, before `transform()` returns. */
  start?(controller: TransformController<Out>): void;
  /** Called for each chunk. What it throws fails both sides. */
  transform(chunk: In, controller: TransformController<Out>): void | Promise<void>;
  /** Called when the writer has closed, before the readable closes. What it throws fails both sides. */
  flush?(controller: TransformController<Out>): void | Promise<void>;
  /** Called once, when the layer has ended: with the reason if it failed. */
  over?(reason?: unknown): void;
}

/**
 * A TransformStream with two ways to end that TransformStream lacks. The layer can end by itself, which is not a failure to
 * the writer (`controller.end()`). A writer that aborts with `Ended` closes the readable and does not fail it.
 */
export function transform<In, Out>(transformer: LayerTransformer<In, Out>): Layer<In, Out> {
  checkMethods(transformer, "the transformer", "an object with transform()", ["transform"]);
  let output!: ReadableStreamDefaultController<Out>;
  let input!: WritableStreamDefaultController;
  let wake: (() => void) | undefined;
  let isOver = false;
  /** Whether the consumer has asked for more since the last chunk was handed on. */
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
      // abort() waits for the write in flight, which may wait for a consumer that never reads.
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
