import { checkAmount, checkSignal, checkType } from "./check.ts";
import { ConcurrentLayer } from "./concurrent-layer.ts";
import type { ConcurrentOptions, Emit, Work } from "./concurrent-options.ts";
import type { Layer } from "./duplex.ts";
import { Elements, type Items } from "./items.ts";

export type { ConcurrentOptions } from "./concurrent-options.ts";

/**
 * A layer that does `work` on many items at once. Results come in the order in which they become ready; all that are ready
 * when the consumer asks share a chunk. An undefined result is dropped.
 *
 * `work` handles its own failures: a rejection fails the whole layer. When the writer closes, what is in flight is finished
 * first. It is not a TransformStream, since `transform()` never runs twice at once.
 */
export function concurrent<In, Out>(
  work: Work<In, Out>,
  options: ConcurrentOptions<In, Out>,
): Layer<In[], Out[]>;
/** The same, with chunks that `items` cuts. */
export function concurrent<In, Out, Chunk>(
  work: Work<In, Out>,
  options: ConcurrentOptions<In, Out, Chunk> & { items: Items<Chunk, In> },
): Layer<Chunk, Out[]>;
/** The same, with chunks that `items` cuts and chunks that `emit` makes. */
export function concurrent<In, Out, Chunk, Result>(
  work: Work<In, Out>,
  options: ConcurrentOptions<In, Out, Chunk, Result> & { items: Items<Chunk, In>; emit: Emit<Out, Result> },
): Layer<Chunk, Result>;
export function concurrent<In, Out>(
  work: Work<In, Out>,
  options: ConcurrentOptions<In, Out, unknown, unknown>,
): Layer<unknown, unknown> {
  checkType(work, "the work", "function");
  checkAmount(options.limit, "the limit of items in flight", 1);
  checkSignal(options.signal, "signal");
  const { readable, writable } = new ConcurrentLayer(work, {
    ...options,
    items: options.items ?? new Elements<In>(),
    emit: options.emit ?? ((results, enqueue) => enqueue(results)),
  });
  return { readable, writable };
}
