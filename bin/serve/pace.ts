import type { Statistics } from "../../src/export/filters/statistics.ts";

/** How fast requests were answered in the last seconds. */
export interface Pace {
  /** Bytes that were read and written. */
  readonly bytesPerSecond: number;
  readonly requestsPerSecond: number;
  /** Milliseconds that a request took on average; undefined if none was answered. */
  readonly latency: number | undefined;
}

/** Milliseconds that a pace is the mean of: a shorter time would have it jump. */
const SPAN = 3000;

/** What was counted up to a moment. */
interface Mark {
  readonly at: number;
  readonly bytes: number;
  readonly requests: number;
  /** Seconds that all of them took. */
  readonly seconds: number;
}

/** Measures a pace by looking now and then at what was counted. */
export class PaceMeter {
  readonly #counts: Pick<Statistics, "snapshot">;
  readonly #now: () => number;
  /** The last ones within the span, the oldest first, and one before it. */
  readonly #marks: Mark[] = [];

  /** @param now milliseconds of a clock that never goes back */
  constructor(counts: Pick<Statistics, "snapshot">, now: () => number) {
    this.#counts = counts;
    this.#now = now;
    this.#mark();
  }

  /** The mean since a look about three seconds ago, or since the first one. */
  look(): Pace {
    const last = this.#mark();
    while (this.#marks.length > 2 && this.#marks[1]!.at <= last.at - SPAN) this.#marks.shift();
    const first = this.#marks[0]!;
    const seconds = (last.at - first.at) / 1000;
    const requests = last.requests - first.requests;
    const perSecond = (count: number) => (seconds > 0 ? count / seconds : 0);
    return {
      bytesPerSecond: perSecond(last.bytes - first.bytes),
      requestsPerSecond: perSecond(requests),
      latency: requests > 0 ? (1000 * (last.seconds - first.seconds)) / requests : undefined,
    };
  }

  #mark(): Mark {
    const mark = { at: this.#now(), bytes: 0, requests: 0, seconds: 0 };
    const { operations } = this.#counts.snapshot();
    mark.bytes = operations.read.bytes + operations.write.bytes;
    for (const { count, errors, latency } of Object.values(operations)) {
      mark.requests += count + errors;
      mark.seconds += latency.sum;
    }
    this.#marks.push(mark);
    return mark;
  }
}
