import type { Deferred } from "../../streams/deferred.ts";
import { waiting } from "./waiting.ts";

/** Calls that wait for the same thing, in the order in which they came. */
export class WaitingCalls<T> {
  readonly #waiting = new Set<Deferred<T>>();

  /** Resolves with what `goOn` is given next. Rejects with the signal's reason, or what `fail` is given. */
  wait(signal: AbortSignal | undefined): Promise<T> {
    const call: Deferred<T> = waiting(signal, () => this.#waiting.delete(call));
    this.#waiting.add(call);
    return call.promise;
  }

  goOn(value: T): void {
    for (const call of this.#waiting) call.resolve(value);
    this.#waiting.clear();
  }

  fail(reason: unknown): void {
    for (const call of this.#waiting) call.reject(reason);
    this.#waiting.clear();
  }
}
