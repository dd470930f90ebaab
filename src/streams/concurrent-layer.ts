import type { ConcurrentOptions, Emit, Work } from "./concurrent-options.ts";
import type { Layer } from "./duplex.ts";
import { Ended } from "./ended.ts";
import { Flight } from "./flight.ts";
import type { Items } from "./items.ts";
import { ReadyResults } from "./ready-results.ts";
import { ReadableStream, WritableStream } from "./runtime.ts";
import { tryClose, tryError } from "./try-close.ts";
import { Turns } from "./turns.ts";

/** What `concurrent` makes. */
export class ConcurrentLayer<In, Out, Chunk = unknown, Result = unknown> implements Layer<Chunk, Result> {
  readonly readable: ReadableStream<Result>;
  readonly writable: WritableStream<Chunk>;
  readonly #work: Work<In, Out>;
  readonly #items: Items<Chunk, In>;
  readonly #weight: (item: In) => number;
  readonly #held: (item: In) => number;
  readonly #effort: (item: In) => number;
  readonly #emit: Emit<Out, Result>;
  readonly #enqueue = (chunk: Result) => this.#output.enqueue(chunk);
  readonly #signal: AbortSignal | undefined;
  readonly #onSignal = () => this.#obeySignal();
  readonly #flight: Flight;
  readonly #ready: ReadyResults<Out>;
  readonly #turns = new Turns();
  #output!: ReadableStreamDefaultController<Result>;
  #input!: WritableStreamDefaultController;
  #failure: { reason: unknown } | undefined;
  #running = 0;
  /** The consumer has asked for a chunk. */
  #isWanted = false;
  #isWriting = false;
  #isEmitting = false;
  /** No more items will come. */
  #isFinishing = false;
  #isClosed = false;

  constructor(
    work: Work<In, Out>,
    options: ConcurrentOptions<In, Out, Chunk, Result> & { items: Items<Chunk, In>; emit: Emit<Out, Result> },
  ) {
    const { limit, room, chunkWeight = 1 << 20, later, signal } = options;
    const { weight = () => 0, held = () => 0, effort = () => 0 } = options;
    this.#work = work;
    this.#items = options.items;
    this.#weight = weight;
    this.#held = held;
    this.#effort = effort;
    this.#emit = options.emit;
    this.#signal = signal;
    this.#flight = new Flight(limit, room);
    this.#ready = new ReadyResults(chunkWeight, () => this.#deliver(), later);
    this.readable = this.#makeReadable();
    this.writable = this.#makeWritable();
    if (signal?.aborted) this.#obeySignal();
    else signal?.addEventListener("abort", this.#onSignal);
  }

  #makeReadable() {
    return new ReadableStream<Result>(
      {
        start: (controller) => {
          this.#output = controller;
        },
        pull: () => {
          this.#isWanted = true;
          if (this.#isEmitting) return;
          this.#flight.leaveDelivered();
          this.#deliver();
        },
        cancel: (reason) => this.#fail(reason ?? new Ended()),
      },
      { highWaterMark: 0 },
    );
  }

  #makeWritable() {
    return new WritableStream<Chunk>({
      start: (controller) => {
        this.#input = controller;
        const { signal } = controller;
        // abort() waits for the write in flight, which may wait for a consumer that never reads. In a microtask, since
        // abort() of Node 20 throws an internal assertion if a listener fails the stream.
        signal.addEventListener("abort", () => {
          if (!(signal.reason instanceof Ended)) queueMicrotask(() => this.#fail(signal.reason));
        });
      },
      write: (chunk) => this.#write(chunk),
      close: () => {
        try {
          this.#items.end?.();
        } catch (error) {
          this.#fail(error);
          throw error;
        }
        this.#finish();
      },
      abort: (reason) => {
        if (reason instanceof Ended) this.#finish();
        else this.#fail(reason ?? new Error("the writer aborted"));
      },
    });
  }

  async #write(chunk: Chunk): Promise<void> {
    this.#isWriting = true;
    try {
      await this.#startAll(chunk);
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      this.#isWriting = false;
    }
    if (this.#isFinishing) return this.#deliver();
    // Meanwhile what is in flight goes on; if the layer is to end, that may be all there is.
    await this.#items.admit?.()?.catch((error: unknown) => {
      if (error instanceof Ended) this.#finish();
      else this.#fail(error);
      throw error;
    });
  }

  /** Starts the items of a chunk, each when there is room for it: very many or laborious ones in several turns. */
  async #startAll(chunk: Chunk): Promise<void> {
    const flight = this.#flight;
    this.#items.push(chunk);
    for (;;) {
      const next = this.#items.take();
      if (!next) {
        if (!this.#items.pause) break;
        await this.#items.pause;
        this.#throwIfFailed();
        continue;
      }
      const item = next.value;
      if (this.#turns.isOver(this.#effort(item))) await this.#turns.next;
      const weight = this.#weight(item);
      const wanting = weight - this.#held(item);
      while (flight.isFull && !this.#failure) await flight.change();
      this.#throwIfFailed();
      const wait = flight.acquire(wanting);
      if (wait) {
        await wait;
        if (this.#failure) flight.release(wanting);
        this.#throwIfFailed();
      }
      flight.enter();
      this.#run(item, weight);
    }
    if (this.#items.isOver) this.#end(new Ended());
  }

  async #run(item: In, weight: number): Promise<void> {
    this.#running++;
    try {
      const result = await this.#work(item);
      this.#running--;
      if (result === undefined || this.#failure) this.#flight.leave(weight);
      else this.#ready.push(result, weight);
      this.#ready.deliverSoon();
    } catch (error) {
      this.#running--;
      this.#flight.leave(weight);
      this.#fail(error);
    }
  }

  /** Hands on what is ready, if the consumer wants it. */
  #deliver(): void {
    if (this.#failure || this.#isClosed || this.#isEmitting) return;
    while (this.#isWanted && this.#ready.length > 0) this.#emitChunk();
    if (!this.#isFinishing || this.#isWriting || this.#running > 0 || this.#ready.length > 0) return;
    if (this.#failure) return;
    this.#isClosed = true;
    this.#signal?.removeEventListener("abort", this.#onSignal);
    tryClose(this.#output);
    this.#flight.leaveDelivered();
  }

  #emitChunk(): void {
    const { results, weights } = this.#ready.takeChunk();
    this.#isWanted = false;
    // While emit() hands on chunks, the consumer may ask for more, or end the layer.
    this.#isEmitting = true;
    try {
      this.#emit(results, this.#enqueue);
      this.#flight.delivered(weights);
    } catch (error) {
      for (const weight of weights) this.#flight.leave(weight);
      this.#fail(error);
    } finally {
      this.#isEmitting = false;
    }
    // If a chunk is queued, the consumer asks again once it has taken it.
    if ((this.#output.desiredSize ?? 0) < 0) this.#isWanted = false;
    if (this.#isWanted || this.#failure) this.#flight.leaveDelivered();
  }

  #obeySignal(): void {
    const reason: unknown = this.#signal?.reason;
    if (reason instanceof Ended) this.#end(reason);
    else this.#fail(reason);
  }

  /** No more items will come: ends when what is in flight has been handed on. */
  #finish(): void {
    this.#isFinishing = true;
    this.#deliver();
  }

  /** Ends from within: the writer is told that nothing more is taken. */
  #end(reason: Ended): void {
    this.#finish();
    tryError(this.#input, reason);
  }

  #fail(reason: unknown): void {
    if (this.#failure) return;
    this.#failure = { reason };
    this.#signal?.removeEventListener("abort", this.#onSignal);
    tryError(this.#output, reason);
    tryError(this.#input, reason);
    for (const weight of this.#ready.clear()) this.#flight.leave(weight);
    this.#flight.leaveDelivered();
    this.#flight.wake();
  }

  #throwIfFailed(): void {
    if (this.#failure) throw this.#failure.reason;
  }
}
