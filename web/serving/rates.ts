import type { Operation, Statistics } from "../../src/export/filters/statistics.ts";
import type { RateSample } from "./report.ts";

/** Samples that are kept until they are taken, at most. */
const MOST = 120;

/** The requests that are told of. */
export const COUNTED: readonly Operation[] = ["read", "write", "flush", "trim", "writeZeroes"];

/** What was counted until some moment. */
interface Sums {
  bytesRead: number;
  bytesWritten: number;
  requests: number;
  /** Seconds that the requests took. */
  time: number;
}

/** Makes samples of seconds out of what is counted. */
export class Rates {
  readonly #statistics: Statistics;
  #before: Sums = { bytesRead: 0, bytesWritten: 0, requests: 0, time: 0 };
  #quiet = 0;
  #samples: RateSample[] = [];

  constructor(statistics: Statistics) {
    this.#statistics = statistics;
  }

  /**
   * Ends a second, or several where timers are slow: each of these has then had the mean of all.
   * @param at milliseconds since 1970
   * @param seconds how many have passed, at least 1
   * @returns whether there is a new sample
   */
  tick(at: number, seconds: number): boolean {
    const [before, now] = [this.#before, this.#sums()];
    this.#before = now;
    const requests = now.requests - before.requests;
    const sample = {
      bytesRead: (now.bytesRead - before.bytesRead) / seconds,
      bytesWritten: (now.bytesWritten - before.bytesWritten) / seconds,
      requests: requests / seconds,
      latency: requests > 0 ? (1000 * (now.time - before.time)) / requests : undefined,
    };
    const firstAt = at - 1000 * (seconds - 1);
    if (requests > 0) {
      if (this.#quiet > 1) this.#add({ ...EMPTY, at: firstAt - 1000 });
      this.#quiet = 0;
    } else {
      this.#quiet += seconds;
      if (this.#quiet > seconds) return false;
    }
    if (seconds > 1 && requests > 0) this.#add({ ...sample, at: firstAt });
    this.#add({ ...sample, at: requests > 0 ? at : firstAt });
    return true;
  }

  take(): RateSample[] {
    const samples = this.#samples;
    this.#samples = [];
    return samples;
  }

  #add(sample: RateSample) {
    this.#samples.push(sample);
    if (this.#samples.length > MOST) this.#samples.shift();
  }

  #sums(): Sums {
    const sums = {
      bytesRead: this.#statistics.of("read").bytes,
      bytesWritten: this.#statistics.of("write").bytes,
      requests: 0,
      time: 0,
    };
    for (const operation of COUNTED) {
      const { count, errors, latency } = this.#statistics.of(operation).snapshot();
      sums.requests += count + errors;
      sums.time += latency.sum;
    }
    return sums;
  }
}

const EMPTY = { bytesRead: 0, bytesWritten: 0, requests: 0, latency: undefined };
