import type { RateSample } from "../serving/report.ts";

/** Milliseconds that are kept. */
const SPAN = 300_000;

/** The most samples that are kept, whatever their times say. */
const MOST = 400;

/** What a rate is now, and what it was on average in the time that is kept. */
export interface Rate {
  readonly now: number;
  readonly mean: number;
}

/** One row for each sample, as charts want it: times in seconds since 1970, then the values. Null: there is none. */
export interface Columns {
  readonly times: number[];
  /** In MiB/s. */
  readonly read: number[];
  readonly written: number[];
  /** A second. */
  readonly requests: number[];
  /** In milliseconds. */
  readonly latency: (number | null)[];
}

/** The samples of the last minutes. A second of which there is no sample was like the one before. */
export class SampleHistory {
  readonly #samples: RateSample[] = [];

  /** Grows with each change. */
  version = 0;

  get isEmpty(): boolean {
    return this.#samples.length === 0;
  }

  clear(): void {
    this.version++;
    this.#samples.length = 0;
  }

  add(samples: readonly RateSample[]): void {
    if (samples.length > 0) this.version++;
    for (const sample of samples) {
      // A clock that was set back would make lines that cross.
      if (sample.at > (this.#samples.at(-1)?.at ?? Number.NEGATIVE_INFINITY)) this.#samples.push(sample);
    }
    const from = (this.#samples.at(-1)?.at ?? 0) - SPAN;
    const fresh = this.#samples.findIndex(({ at }) => at > from);
    this.#samples.splice(0, Math.max(fresh, this.#samples.length - MOST, 0));
  }

  get bytesRead(): Rate {
    return this.#rate(({ bytesRead }) => bytesRead);
  }

  get bytesWritten(): Rate {
    return this.#rate(({ bytesWritten }) => bytesWritten);
  }

  get requests(): Rate {
    return this.#rate(({ requests }) => requests);
  }

  /** In milliseconds; undefined if nothing was answered. The mean is that of all requests. */
  get latency(): { readonly now: number | undefined; readonly mean: number | undefined } {
    let sum = 0;
    let count = 0;
    for (const { latency, requests } of this.#samples) {
      if (latency === undefined) continue;
      sum += latency * requests;
      count += requests;
    }
    return { now: this.#samples.at(-1)?.latency, mean: count > 0 ? sum / count : undefined };
  }

  /** The sample that is nearest to a time, in milliseconds since 1970. */
  nearest(at: number): RateSample | undefined {
    const distance = (sample: RateSample) => Math.abs(sample.at - at);
    return this.#samples.reduce<RateSample | undefined>(
      (best, one) => (best && distance(best) <= distance(one) ? best : one),
      undefined,
    );
  }

  columns(): Columns {
    const samples = this.#samples;
    return {
      times: samples.map(({ at }) => at / 1000),
      read: samples.map(({ bytesRead }) => bytesRead / 2 ** 20),
      written: samples.map(({ bytesWritten }) => bytesWritten / 2 ** 20),
      requests: samples.map(({ requests }) => requests),
      latency: samples.map(({ latency }) => latency ?? null),
    };
  }

  #rate(amountIn: (sample: RateSample) => number): Rate {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last) return { now: 0, mean: 0 };
    const sum = this.#samples.reduce((all, sample) => all + amountIn(sample), 0);
    // The first sample is of the second that ended then.
    const seconds = 1 + (last.at - first.at) / 1000;
    return { now: amountIn(last), mean: sum / seconds };
  }
}
