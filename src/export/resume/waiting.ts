import { type Deferred, deferred } from "../../streams/deferred.ts";

/**
 * Something to wait for, which the caller may give up: then it rejects with the signal's reason, and `onGivenUp` takes it out of
 * where it waits. Nothing of it stays, however long the others go on waiting.
 */
export function waiting<T>(signal: AbortSignal | undefined, onGivenUp: () => void): Deferred<T> {
  const waiter = deferred<T>();
  if (!signal) return waiter;
  const giveUp = () => {
    onGivenUp();
    waiter.reject(signal.reason);
  };
  const over = () => signal.removeEventListener("abort", giveUp);
  signal.addEventListener("abort", giveUp);
  waiter.promise.then(over, over);
  return waiter;
}
