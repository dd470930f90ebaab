import { checkDuplex, checkSignal } from "./check.ts";
import type { Duplex, Transport } from "./duplex.ts";
import { Ended } from "./ended.ts";

export interface JoinOptions {
  /** Ends both directions at once; with `Ended` as its reason that is no failure. */
  signal?: AbortSignal;
}

/**
 * Joins two channels in both directions, and answers for all four ends: what `a` says goes to `b` and what `b`
 * says to `a`. An end in one direction leaves the other running, as a socket that is half closed does; a
 * failure in either ends both. `closed` and `close` of a Transport are used to interrupt a write that hangs.
 *
 * @returns a promise that resolves when both directions have ended, and rejects with the first failure once
 *   both have
 */
export async function join<A, B>(
  a: Duplex<A, B> & Partial<Pick<Transport, "close">>,
  b: Duplex<B, A> & Partial<Pick<Transport, "close">>,
  options: JoinOptions = {},
): Promise<void> {
  checkDuplex(a, "the first channel to join");
  checkDuplex(b, "the second channel to join");
  checkSignal(options.signal, "signal");
  const abort = new AbortController();
  let failure: { reason: unknown } | undefined;

  function fail(reason: unknown) {
    if (failure) return;
    failure = { reason };
    end(reason);
  }

  function end(reason: unknown) {
    abort.abort(reason);
    // A pipe's abort waits for the write in flight; ending the transport makes that write reject.
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
