/** The shortest and the longest time between two attempts, in milliseconds. */
const LEAST = 200;
const MOST = 10_000;

/** How long to wait between attempts: longer each time, and never as long as others do that have lost the same gateway. */
export class Backoff {
  readonly #random: () => number;
  #most = LEAST;

  /** @param random a number from 0 to 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Milliseconds until the next attempt. */
  next(): number {
    this.#most = Math.min(MOST, 2 * this.#most);
    return LEAST + this.#random() * (this.#most - LEAST);
  }

  /** A link was used, however briefly: one that is cut again and again moves something each time, so the next is tried soon. */
  succeeded(): void {
    this.#most = LEAST;
  }
}
