import type { Room } from "./budget.ts";
import type { Layer } from "./duplex.ts";
import { Ended } from "./ended.ts";
import { ReadableStream, WritableStream } from "./runtime.ts";
import { tryClose, tryError } from "./try-close.ts";

export interface ConcurrentOptions<In> {
  /** How many items may be in flight: started, and their result not yet dealt with downstream. */
  limit: number;
  /** Room for the bytes that the items in flight hold. */
  room?: Room;
  /** How many bytes an item holds while it is in flight. Default 0. */
  weight?(item: In): number;
  /** How many of these bytes somebody upstream has taken room for already; they are released here. Default 0. */
  held?(item: In): number;
  /** A chunk of results is closed when it weighs this much. Default 1 MiB. */
  chunkWeight?: number;
}

/**
 * A layer that does `work` on many items at once; results come in the order in which they are ready, in arrays
 * of all that were ready when the consumer asked. An undefined result leaves no trace.
 *
 * It is a pair and not a TransformStream since `transform()` never runs twice at once. `work` answers for its
 * own failures: a rejection fails the whole layer. When the writer closes, what is in flight is finished first.
 */
export function concurrent<In, Out>(
  work: (item: In) => Promise<Out | undefined>,
  options: ConcurrentOptions<In>,
): Layer<In[], Out[]> {
  const { limit, room, weight = () => 0, held = () => 0, chunkWeight = 1 << 20 } = options;
  const ready: { result: Out; weight: number }[] = [];
  /** The weights of what was handed on last: it is in memory until the consumer asks for more. */
  let delivered: number[] = [];
  let running = 0;
  let inFlight = 0;
  let writerClosed = false;
  let failure: { reason: unknown } | undefined;
  let wanted = false;
  let wakeWriter: (() => void) | undefined;
  let output!: ReadableStreamDefaultController<Out[]>;
  let input!: WritableStreamDefaultController;

  function release(itemWeight: number) {
    inFlight--;
    room?.release(itemWeight);
    wakeWriter?.();
  }

  function fail(reason: unknown) {
    if (failure) return;
    failure = { reason };
    tryError(output, reason);
    tryError(input, reason);
    for (const { weight } of ready.splice(0)) release(weight);
    releaseDelivered();
    wakeWriter?.();
  }

  function releaseDelivered() {
    const weights = delivered;
    delivered = [];
    for (const weight of weights) release(weight);
  }

  let isDelivering = false;

  /** Delivers once all that is settled by now has come: one chunk, and one message on the wire, instead of two. */
  function deliverSoon() {
    if (isDelivering) return;
    isDelivering = true;
    queueMicrotask(() => {
      isDelivering = false;
      deliver();
    });
  }

  /** Hands on what is ready, if somebody wants it. */
  function deliver() {
    if (failure) return;
    if (wanted && ready.length > 0) {
      const chunk: Out[] = [];
      let chunkBytes = 0;
      let taken = 0;
      while (taken < ready.length && (taken === 0 || chunkBytes + ready[taken]!.weight <= chunkWeight)) {
        chunkBytes += ready[taken]!.weight;
        chunk.push(ready[taken++]!.result);
      }
      delivered = ready.splice(0, taken).map(({ weight }) => weight);
      wanted = false;
      output.enqueue(chunk);
    }
    if (!writerClosed || running > 0 || ready.length > 0) return;
    tryClose(output);
    releaseDelivered();
  }

  async function run(item: In, itemWeight: number) {
    try {
      const result = await work(item);
      running--;
      if (result === undefined || failure) release(itemWeight);
      else ready.push({ result, weight: itemWeight });
      deliverSoon();
    } catch (error) {
      running--;
      release(itemWeight);
      fail(error);
    }
  }

  /** Waits until something was released, or everything is over. */
  function change(): Promise<void> {
    return new Promise((resolve) => {
      wakeWriter = () => {
        wakeWriter = undefined;
        resolve();
      };
    });
  }

  const readable = new ReadableStream<Out[]>(
    {
      start(c) {
        output = c;
      },
      pull() {
        wanted = true;
        releaseDelivered();
        deliver();
      },
      cancel(reason) {
        fail(reason ?? new Ended());
      },
    },
    { highWaterMark: 0 },
  );

  const writable = new WritableStream<In[]>({
    start(c) {
      input = c;
      // abort() waits for the write in flight, which may be waiting for a consumer that never comes. Not at once,
      // since Node 20 throws an internal assertion out of abort() when a listener has failed the stream by then.
      c.signal.addEventListener("abort", () => {
        if (!(c.signal.reason instanceof Ended)) queueMicrotask(() => fail(c.signal.reason));
      });
    },
    async write(items) {
      for (const item of items) {
        const itemWeight = weight(item);
        const wanting = itemWeight - held(item);
        while (inFlight >= limit && !failure) await change();
        const wait = failure || wanting === 0 ? undefined : room?.acquire(wanting);
        if (wait) {
          await wait.catch((reason: unknown) => {
            fail(reason);
            throw reason;
          });
          if (failure) room?.release(wanting);
        }
        if (failure) throw failure.reason;
        inFlight++;
        running++;
        run(item, itemWeight);
      }
    },
    close() {
      writerClosed = true;
      deliver();
    },
    abort(reason) {
      if (!(reason instanceof Ended)) return fail(reason);
      writerClosed = true;
      deliver();
    },
  });

  return { readable, writable };
}
