import { deferred } from "./deferred.ts";
import type { Duplex, Transport } from "./duplex.ts";
import { Ended } from "./ended.ts";
import { bytesOf, type Payload } from "./payload.ts";
import { type TransformController, transform } from "./transform.ts";

/** One end of a channel in memory. */
export type PairEnd<Out, In> = Duplex<Out, In> & Pick<Transport, "closed" | "close">;

/**
 * Two ends of a channel in memory, each the other side of the other, with backpressure: a write settles when
 * the chunk has been taken on the other side, with `lockstep` when the other side asks for more. Chunks are handed
 * over as they are.
 *
 * @returns first the end that `Forth` goes into, then the end that it comes out of
 */
export function duplexPair<Forth, Back>(
  options: { lockstep?: boolean } = {},
): [PairEnd<Back, Forth>, PairEnd<Forth, Back>] {
  return pairOf(
    (chunk: Forth, controller: TransformController<Forth>) => controller.enqueue(chunk),
    (chunk: Back, controller: TransformController<Back>) => controller.enqueue(chunk),
    options,
  );
}

/** Two transports in memory, as `duplexPair()`. A Blob that is written arrives as its bytes. */
export function transportPair(): [Transport, Transport] {
  const toBytes = (chunk: Payload, controller: TransformController<Uint8Array>) => {
    const bytes = bytesOf(chunk);
    return bytes instanceof Uint8Array ? controller.enqueue(bytes) : bytes.then((b) => controller.enqueue(b));
  };
  return pairOf(toBytes, toBytes);
}

type Carry<In, Out> = (chunk: In, controller: TransformController<Out>) => void | Promise<void>;

function pairOf<A, B, C, D>(
  forth: Carry<A, B>,
  back: Carry<C, D>,
  { lockstep = false } = {},
): [PairEnd<D, A>, PairEnd<B, C>] {
  const closed = deferred();
  const controllers: { fail(reason: unknown): void }[] = [];
  let ends = 0;

  function direction<In, Out>(carry: Carry<In, Out>) {
    return transform<In, Out>({
      lockstep,
      start: (controller) => controllers.push(controller),
      transform: carry,
      over(reason) {
        if (reason !== undefined) closed.reject(reason);
        else if (++ends === 2) closed.resolve();
      },
    });
  }

  const there = direction(forth);
  const here = direction(back);
  function close(reason: unknown = new Ended()) {
    for (const controller of controllers) controller.fail(reason);
  }
  const life = { closed: closed.promise, close };
  return [
    { readable: here.readable, writable: there.writable, ...life },
    { readable: there.readable, writable: here.writable, ...life },
  ];
}
