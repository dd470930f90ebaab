import { deferred } from "./deferred.ts";
import type { Duplex, Transport } from "./duplex.ts";
import { Ended } from "./ended.ts";
import { transform } from "./transform.ts";

/** One end of a channel in memory. */
export type PairEnd<Out, In> = Duplex<Out, In> & Pick<Transport, "closed" | "close">;

/**
 * The two ends of a channel in memory, with backpressure: a write settles when the other end has taken the chunk, with
 * `lockstep` when it asks for the next one. Chunks are not copied.
 *
 * @returns first the end that `Forth` goes into, then the end that it comes out of
 */
export function duplexPair<Forth, Back>({
  lockstep = false,
} = {}): [PairEnd<Back, Forth>, PairEnd<Forth, Back>] {
  const closed = deferred();
  const controllers: { fail(reason: unknown): void }[] = [];
  let ends = 0;

  function direction<Chunk>() {
    return transform<Chunk, Chunk>({
      lockstep,
      start: (controller) => controllers.push(controller),
      transform: (chunk, controller) => controller.enqueue(chunk),
      over(reason) {
        if (reason !== undefined) closed.reject(reason);
        else if (++ends === 2) closed.resolve();
      },
    });
  }

  const there = direction<Forth>();
  const here = direction<Back>();
  function close(reason: unknown = new Ended()) {
    for (const controller of controllers) controller.fail(reason);
  }
  const life = { closed: closed.promise, close };
  return [
    { readable: here.readable, writable: there.writable, ...life },
    { readable: there.readable, writable: here.writable, ...life },
  ];
}

/** The two ends of a transport in memory. See `duplexPair()`. */
export function transportPair(): [Transport, Transport] {
  return duplexPair<Uint8Array, Uint8Array>();
}
