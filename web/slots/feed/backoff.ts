export interface BackoffTimes {
  /** Milliseconds of the first pause, and of the longest. Each is twice as long as the one before. */
  readonly first: number;
  readonly longest: number;
}

/** Longer and longer pauses between attempts. */
export class Backoff {
  readonly #times: BackoffTimes;
  #next: number;
  #wake: (() => void) | undefined;

  constructor(times: BackoffTimes) {
    this.#times = times;
    this.#next = times.first;
  }

  /** An attempt has succeeded: the next pause is a short one. */
  reset(): void {
    this.#next = this.#times.first;
  }

  /** Waits, a little more or less each time so that many pages do not come at once; until `wake()`, or an abort, at most. */
  async pause(signal: AbortSignal): Promise<void> {
    const milliseconds = this.#next * (0.75 + Math.random() / 2);
    this.#next = Math.min(2 * this.#next, this.#times.longest);
    await this.wait(milliseconds, signal);
  }

  /** Waits for some milliseconds, or until `wake()` or an abort. */
  async wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      signal.addEventListener("abort", end);
      this.#wake = end;
    });
  }

  /** Ends a pause: there is reason to believe that an attempt succeeds now. */
  wake(): void {
    this.#next = this.#times.first;
    this.#wake?.();
  }
}
