import { checkAmount, checkWhole } from "../../streams/check.ts";
import type { Deferred } from "../../streams/deferred.ts";
import { waiting } from "./waiting.ts";

/** How much is taken in at a time. */
export interface CallLimits {
  /** The number of calls. */
  calls: number;
  /** Bytes that these calls read and write. A call of more than that is taken in alone. */
  bytes: number;
}

interface Waiter {
  readonly bytes: number;
  readonly go: Deferred<void>;
}

/** Room for calls. Those for which there is none wait, in the order in which they came; none is refused. */
export class CallRoom {
  readonly #limits: CallLimits;
  readonly #waiting = new Set<Waiter>();
  #calls = 0;
  #bytes = 0;

  /** @throws TypeError, RangeError when there would be no room for any call */
  constructor(limits: CallLimits) {
    checkWhole(limits.calls, "the number of calls that are held", 1);
    checkAmount(limits.bytes, "the bytes of calls that are held");
    this.#limits = limits;
  }

  /** Takes a call in: at once, then it returns undefined, or when there is room. Rejects with the signal's reason. */
  enter(bytes: number, signal: AbortSignal | undefined): Promise<void> | undefined {
    if (this.#waiting.size === 0 && this.#admit(bytes)) return undefined;
    const waiter: Waiter = {
      bytes,
      go: waiting(signal, () => {
        this.#waiting.delete(waiter);
        this.#admitWaiting();
      }),
    };
    this.#waiting.add(waiter);
    return waiter.go.promise;
  }

  /** Gives back the room of a call. */
  leave(bytes: number): void {
    this.#calls--;
    this.#bytes -= bytes;
    if (this.#waiting.size > 0) this.#admitWaiting();
  }

  /** Fails those who wait. */
  fail(reason: unknown): void {
    for (const { go } of this.#waiting) go.reject(reason);
    this.#waiting.clear();
  }

  #admit(bytes: number): boolean {
    const { calls, bytes: most } = this.#limits;
    if (this.#calls > 0 && (this.#calls >= calls || this.#bytes + bytes > most)) return false;
    this.#calls++;
    this.#bytes += bytes;
    return true;
  }

  #admitWaiting() {
    for (const waiter of this.#waiting) {
      if (!this.#admit(waiter.bytes)) return;
      this.#waiting.delete(waiter);
      waiter.go.resolve();
    }
  }
}
