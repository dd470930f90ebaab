/** The shortest and the longest time between two attempts, in milliseconds. */
export interface BackoffTimes {
  readonly least: number;
  readonly most: number;
}

const TIMES: BackoffTimes = { least: 200, most: 10_000 };

/** How long to wait between attempts: longer each time, and never as long as others do that have lost the same gateway. */
export class Backoff {
  readonly #random: () => number;
  readonly #times: BackoffTimes;
  #most: number;

  /** @param random a number from 0 to 1 */
  constructor(random: () => number, times = TIMES) {
    this.#random = random;
    this.#times = times;
    this.#most = times.least;
  }

  /** Milliseconds until the next attempt. */
  next(): number {
    const { least, most } = this.#times;
    this.#most = Math.min(most, 2 * this.#most);
    return least + this.#random() * (this.#most - least);
  }

  /** A link was used, however briefly: one that is cut again and again moves something each time, so the next is tried soon. */
  succeeded(): void {
    this.#most = this.#times.least;
  }
}
