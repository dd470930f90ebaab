import type { Clock } from "../../src/resuming/clock.ts";

/** Calls back when asked to, but never twice within an interval: what is asked for meanwhile is one call at its end. */
export class Pace {
  readonly #clock: Pick<Clock, "now" | "after">;
  readonly #interval: number;
  readonly #callback: () => void;
  #calledAt = Number.NEGATIVE_INFINITY;
  #callOff: (() => void) | undefined;
  #isOver = false;

  /** @param interval milliseconds from one call to the next, at least */
  constructor(clock: Pick<Clock, "now" | "after">, interval: number, callback: () => void) {
    this.#clock = clock;
    this.#interval = interval;
    this.#callback = callback;
  }

  /** Calls back at once, or when the interval since the last call is over. */
  ask(): void {
    if (this.#callOff || this.#isOver) return;
    const now = this.#clock.now();
    const left = this.#calledAt + this.#interval - now;
    if (left > 0) {
      this.#callOff = this.#clock.after(left, () => {
        this.#callOff = undefined;
        // A timer may be a little early.
        this.ask();
      });
      return;
    }
    this.#calledAt = now;
    this.#callback();
  }

  end(): void {
    this.#isOver = true;
    this.#callOff?.();
  }
}
