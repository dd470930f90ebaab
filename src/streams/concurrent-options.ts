import type { Room } from "./budget.ts";
import type { Items } from "./items.ts";

/** Hands results on: calls `enqueue` once or more. */
export type Emit<Out, Result> = (results: Out[], enqueue: (chunk: Result) => void) => void;

/** Turns an item into a result. It handles its own failures. */
export type Work<In, Out> = (item: In) => Promise<Out | undefined>;

export interface ConcurrentOptions<In, Out, Chunk = In[], Result = Out[]> {
  /** How many items may be in flight: started, and their result not yet dealt with downstream. */
  limit: number;
  /** Room for the bytes that the items in flight hold. */
  room?: Room;
  /** How many bytes an item holds while it is in flight. Default 0. */
  weight?(item: In): number;
  /** For how many of these bytes room has been taken upstream; they are released here. Default 0. */
  held?(item: In): number;
  /** How much work an item is before it first waits, in items, besides itself. Default 0. */
  effort?(item: In): number;
  /** The weight, in bytes, at which a chunk of results is closed. Default 1 MiB. */
  chunkWeight?: number;
  /** Cuts chunks into items. Default: a chunk is an array of items. */
  items?: Items<Chunk, In>;
  /** Hands results on in one chunk or more; with none the consumer would wait forever. Default: their array. */
  emit?(results: Out[], enqueue: (chunk: Result) => void): void;
  /**
   * Schedules a callback behind the events already queued. If recent deliveries held several light results, delivery is put
   * off this way, so that more of them share a chunk. Default: deliver at once.
   */
  later?: ((callback: () => void) => void) | undefined;
  /** Aborted with `Ended`: takes no more chunks, finishes what is in flight, then ends. With any other reason it fails. */
  signal?: AbortSignal | undefined;
}
