import type { Room } from "./budget.ts";
import { checkAmount, checkSignal, checkType } from "./check.ts";
import type { Layer } from "./duplex.ts";
import { Ended } from "./ended.ts";
import { ReadableStream, WritableStream } from "./runtime.ts";
import { tryClose, tryError } from "./try-close.ts";
import { Turns } from "./turns.ts";

/** Cuts chunks into items: an array of them, or bytes (`Messages`). */
export interface Items<Chunk, Item> {
  push(chunk: Chunk): void;
  /**
   * The next item that is there; undefined where there is none, or where `pause` has to be waited for first.
   * @throws what fails the layer, once the items before it have been started
   */
  take(): { value: Item } | undefined;
  /** Set where others have to have their turn before more is taken: resolves when it may go on. */
  readonly pause?: Promise<void> | undefined;
  /** Asked when no item is there: a promise makes the writer wait with the next chunk. */
  admit?(): Promise<void> | undefined;
  /** Whether the last item has been taken: the layer ends with it, whatever else was sent. */
  readonly isOver?: boolean;
  /**
   * The chunks have ended.
   * @throws what fails the layer
   */
  end?(): void;
}

export interface ConcurrentOptions<In, Out, Chunk = In[], Result = Out[]> {
  /** How many items may be in flight: started, and their result not yet dealt with downstream. */
  limit: number;
  /** Room for the bytes that the items in flight hold. */
  room?: Room;
  /** How many bytes an item holds while it is in flight. Default 0. */
  weight?(item: In): number;
  /** How many of these bytes somebody upstream has taken room for already; they are released here. Default 0. */
  held?(item: In): number;
  /** How many other items an item is as much work as, besides itself, before its work waits for anything. Default 0. */
  effort?(item: In): number;
  /** A chunk of results is closed when it weighs this much. Default 1 MiB. */
  chunkWeight?: number;
  /** Where the items come from. Default: a chunk is an array of them. */
  items?: Items<Chunk, In>;
  /** Hands results on, as one chunk at least: without any the consumer would wait for ever. Default: one chunk, the array. */
  emit?(results: Out[], enqueue: (chunk: Result) => void): void;
  /**
   * Calls back when what has come already has been dealt with. A consumer that waits for results waits for that too where of
   * late several light ones were handed on at a time, so that there are more of them in a chunk. Default: it does not.
   */
  later?: ((callback: () => void) => void) | undefined;
  /** Aborted with `Ended`: takes no more chunks, finishes what is in flight, then ends. With any other reason it fails. */
  signal?: AbortSignal | undefined;
}

/** So many results at a time, in the mean of the last few times, are several. With fewer, waiting costs more than it gains. */
const SEVERAL = 2.5;
const FEW_TIMES = 8;
/** A result that weighs so much does not wait: chunks of such ones are few in any case. */
const LONG = 1 << 15;

/**
 * A layer that does `work` on many items at once; results come in the order in which they are ready, together with
 * all that were ready when the consumer asked. An undefined result leaves no trace.
 *
 * It is a pair and not a TransformStream since `transform()` never runs twice at once. `work` answers for its
 * own failures: a rejection fails the whole layer. When the writer closes, what is in flight is finished first.
 */
export function concurrent<In, Out, Chunk = In[], Result = Out[]>(
  work: (item: In) => Promise<Out | undefined>,
  options: ConcurrentOptions<In, Out, Chunk, Result>,
): Layer<Chunk, Result> {
  const { limit, room, weight = () => 0, held = () => 0, effort = () => 0 } = options;
  const { chunkWeight = 1 << 20, later, signal } = options;
  checkType(work, "the work", "function");
  checkAmount(limit, "the limit of items in flight", 1);
  checkSignal(signal, "signal");
  const items = options.items ?? (new Elements<In>() as unknown as Items<Chunk, In>);
  const emit = options.emit ?? ((results, enqueue) => enqueue(results as Result));
  const ready: { result: Out; weight: number }[] = [];
  /** The weights of what was handed on last: it is in memory until the consumer has taken it and asks for more. */
  let delivered: number[] = [];
  let running = 0;
  let inFlight = 0;
  let isWriting = false;
  let isEmitting = false;
  let isFinishing = false;
  let isClosed = false;
  let failure: { reason: unknown } | undefined;
  let wanted = false;
  let wakeWriter: (() => void) | undefined;
  const turns = new Turns();
  let output!: ReadableStreamDefaultController<Result>;
  let input!: WritableStreamDefaultController;

  function release(itemWeight: number) {
    inFlight--;
    room?.release(itemWeight);
    wakeWriter?.();
  }

  function fail(reason: unknown) {
    if (failure) return;
    failure = { reason };
    signal?.removeEventListener("abort", onSignal);
    tryError(output, reason);
    tryError(input, reason);
    for (const { weight } of ready.splice(0)) release(weight);
    releaseDelivered();
    wakeWriter?.();
  }

  /** There will be no more items: ends when what is in flight has been handed on. */
  function finish() {
    isFinishing = true;
    deliver();
  }

  /** Ends from within: whoever writes is told that nothing more is taken. */
  function end(reason: Ended) {
    finish();
    tryError(input, reason);
  }

  function onSignal() {
    const reason: unknown = signal?.reason;
    if (reason instanceof Ended) end(reason);
    else fail(reason);
  }

  function releaseDelivered() {
    const weights = delivered;
    delivered = [];
    for (const weight of weights) release(weight);
  }

  let isDelivering = false;
  /** How many results there were when a consumer waited for some, in the mean of the last few times. */
  let together = 1;

  /** Delivers once all that is settled by now has come: one chunk, and one message on the wire, instead of two. */
  function deliverSoon() {
    if (isDelivering) return;
    isDelivering = true;
    const isWorthIt = together >= SEVERAL && ready.length > 0 && ready[0]!.weight < LONG;
    const soon = later && isWorthIt ? later : queueMicrotask;
    soon(() => {
      isDelivering = false;
      together += (ready.length - together) / FEW_TIMES;
      deliver();
    });
  }

  /** Hands on what is ready, if somebody wants it. */
  function deliver() {
    if (failure || isClosed || isEmitting) return;
    while (wanted && ready.length > 0) emitSome();
    if (failure || !isFinishing || isWriting || running > 0 || ready.length > 0) return;
    isClosed = true;
    signal?.removeEventListener("abort", onSignal);
    tryClose(output);
    releaseDelivered();
  }

  function emitSome() {
    const results: Out[] = [];
    const weights: number[] = [];
    let bytes = 0;
    do {
      const { result, weight } = ready.shift()!;
      results.push(result);
      weights.push(weight);
      bytes += weight;
    } while (ready.length > 0 && bytes + ready[0]!.weight <= chunkWeight);
    wanted = false;
    // The consumer may ask for more, or end it all, while there are chunks to come.
    isEmitting = true;
    try {
      emit(results, (chunk) => output.enqueue(chunk));
      delivered = weights;
    } catch (error) {
      for (const weight of weights) release(weight);
      fail(error);
    } finally {
      isEmitting = false;
    }
    if (failure) return releaseDelivered();
    // With a chunk in the queue the consumer will ask again, once it has taken it.
    if ((output.desiredSize ?? 0) < 0) wanted = false;
    if (wanted) releaseDelivered();
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

  /** Starts the items of a chunk, each when there is room for it, very many or laborious ones in several turns. */
  async function startAll(chunk: Chunk) {
    items.push(chunk);
    for (;;) {
      const next = items.take();
      if (!next) {
        if (!items.pause) break;
        await items.pause;
        if (failure) throw failure.reason;
        continue;
      }
      const item = next.value;
      if (turns.isOver(effort(item))) await turns.next;
      const itemWeight = weight(item);
      const wanting = itemWeight - held(item);
      while (inFlight >= limit && !failure) await change();
      const wait = failure || wanting === 0 ? undefined : room?.acquire(wanting);
      if (wait) {
        await wait;
        if (failure) room?.release(wanting);
      }
      if (failure) throw failure.reason;
      inFlight++;
      running++;
      run(item, itemWeight);
    }
    if (items.isOver) end(new Ended());
  }

  const readable = new ReadableStream<Result>(
    {
      start(c) {
        output = c;
      },
      pull() {
        wanted = true;
        if (isEmitting) return;
        releaseDelivered();
        deliver();
      },
      cancel(reason) {
        fail(reason ?? new Ended());
      },
    },
    { highWaterMark: 0 },
  );

  const writable = new WritableStream<Chunk>({
    start(c) {
      input = c;
      // abort() waits for the write in flight, which may be waiting for a consumer that never comes. Not at once,
      // since Node 20 throws an internal assertion out of abort() when a listener has failed the stream by then.
      c.signal.addEventListener("abort", () => {
        if (!(c.signal.reason instanceof Ended)) queueMicrotask(() => fail(c.signal.reason));
      });
    },
    async write(chunk) {
      isWriting = true;
      try {
        await startAll(chunk);
      } catch (error) {
        fail(error);
        throw error;
      } finally {
        isWriting = false;
      }
      if (isFinishing) return deliver();
      // While this waits, what is in flight goes on, and may be all there is when it is to end.
      await items.admit?.()?.catch((error: unknown) => {
        if (error instanceof Ended) finish();
        else fail(error);
        throw error;
      });
    },
    close() {
      try {
        items.end?.();
      } catch (error) {
        fail(error);
        throw error;
      }
      finish();
    },
    abort(reason) {
      if (reason instanceof Ended) finish();
      else fail(reason ?? new Error("the writer aborted"));
    },
  });

  if (signal?.aborted) onSignal();
  else signal?.addEventListener("abort", onSignal);
  return { readable, writable };
}

/** The items of arrays. */
class Elements<T> implements Items<T[], T> {
  readonly #turns = new Turns();
  #chunk: T[] = [];
  #next = 0;

  get pause(): Promise<void> | undefined {
    return this.#turns.next;
  }

  push(chunk: T[]): void {
    this.#chunk = chunk;
    this.#next = 0;
  }

  take(): { value: T } | undefined {
    if (this.#next === this.#chunk.length) {
      this.#chunk = [];
      this.#next = 0;
      return undefined;
    }
    if (this.#turns.isOver()) return undefined;
    return { value: this.#chunk[this.#next++]! };
  }
}
