import { checkDuplex, checkSignal } from "./check.ts";
import type { Duplex, Transport } from "./duplex.ts";
import { Ended } from "./ended.ts";

export interface JoinOptions {
  /** Ends both directions at once. That is a failure, unless the reason is `Ended`. */
  signal?: AbortSignal;
}

/**
 * Joins two channels in both directions: what `a` says goes to `b`, and what `b` says goes to `a`. It owns all four streams.
 * When one direction ends, the other goes on, as with a half-closed socket. When one fails, both end. `close` of a
 * Transport is called then, to interrupt a write that hangs.
 *
 * @returns a promise that settles once both directions have ended: it rejects with the first failure, if there was one
 */
export async function join<A, B>(
  a: Duplex<A, B> & Partial<Pick<Transport, "close">>,
  b: Duplex<B, A> & Partial<Pick<Transport, "close">>,
  options: JoinOptions = {},
): Promise<void> {
  checkDuplex(a, "the first channel to join");
  checkDuplex(b, "the second channel to join");
  checkSignal(options.signal, "signal");
  await joinUnchecked(a, b, options);
}

/** `join` without checks, for what is known to be right. */
export async function joinUnchecked<A, B>(
  a: Duplex<A, B> & Partial<Pick<Transport, "close">>,
  b: Duplex<B, A> & Partial<Pick<Transport, "close">>,
  options: JoinOptions = {},
): Promise<void> {
  const abort = new AbortController();
  let failure: { reason: unknown } | undefined;

  function fail(reason: unknown) {
    if (failure) return;
    failure = { reason };
    end(reason);
  }

  function end(reason: unknown) {
    abort.abort(reason);
    // An aborted pipe waits for its write in flight. Closing the transport makes that write reject.
    a.close?.(reason);
    b.close?.(reason);
  }

  function onSignal() {
    const reason: unknown = options.signal?.reason;
    if (reason instanceof Ended) end(reason);
    else fail(reason);
  }

  async function pipe<T>(from: ReadableStream<T>, to: WritableStream<T>) {
    try {
      await from.pipeTo(to, { signal: abort.signal });
    } catch (error) {
      if (!(error instanceof Ended)) fail(error);
    }
  }

  if (options.signal?.aborted) onSignal();
  options.signal?.addEventListener("abort", onSignal);
  try {
    await Promise.all([pipe(a.readable, b.writable), pipe(b.readable, a.writable)]);
  } finally {
    options.signal?.removeEventListener("abort", onSignal);
  }
  if (failure) throw (failure as { reason: unknown }).reason;
}
