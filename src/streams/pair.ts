import { deferred } from "./deferred.ts";
import type { Duplex, Transport } from "./duplex.ts";
import { Ended } from "./ended.ts";
import { transform } from "./transform.ts";

/** One end of a channel in memory. */
export type PairEnd<Out, In> = Duplex<Out, In> & Pick<Transport, "closed" | "close">;

/**
 * Two ends of a channel in memory, each the other side of the other, with backpressure: a write settles when
 * the chunk has been taken on the other side, with `lockstep` when the other side asks for more. Chunks are handed
 * over as they are.
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

/** Two transports in memory, as `duplexPair()`. */
export function transportPair(): [Transport, Transport] {
  return duplexPair<Uint8Array, Uint8Array>();
}
