/** The shortest and the longest time between two attempts, in milliseconds. */
const LEAST = 200;
const MOST = 10_000;

/** Milliseconds that a link has to last if the next attempt after it is to come soon. */
const LASTING = 1000;

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

  /** A link was used, and lasted for so many milliseconds. */
  succeeded(milliseconds: number): void {
    if (milliseconds >= LASTING) this.#most = LEAST;
  }
}
