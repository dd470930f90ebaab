/**
 * The upper bounds of the buckets of a `Latency`, in seconds: from what a file in memory takes to the longest that a request
 * may take on most links. They are fixed, so that the figures of several programs and times can be added.
 */
export const LATENCY_BOUNDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

export interface LatencySnapshot {
  /** Seconds of all calls together. */
  sum: number;
  /** How many calls took at most the bound of the same index, and longer than the bound before; the last: longer than all bounds. */
  buckets: number[];
}

/** How long calls took, as a histogram over `LATENCY_BOUNDS`. */
export class Latency {
  readonly #buckets: number[] = Array(LATENCY_BOUNDS.length + 1).fill(0);
  #sum = 0;

  /** @param seconds how long a call took */
  add(seconds: number): void {
    let bucket = 0;
    while (seconds > LATENCY_BOUNDS[bucket]!) bucket++;
    this.#buckets[bucket]!++;
    this.#sum += seconds;
  }

  snapshot(): LatencySnapshot {
    return { sum: this.#sum, buckets: [...this.#buckets] };
  }
}
