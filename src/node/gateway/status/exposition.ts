/** What a scraper is told of the format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export type Labels = Readonly<Record<string, string>>;

/** A value of a metric. */
export interface MetricSample {
  readonly labels?: Labels;
  readonly value: number;
}

/** A histogram of one set of labels. */
export interface HistogramSample {
  readonly labels: Labels;
  /** For each bound, and for what is beyond all of them: how many were at most it, and more than the bound before. */
  readonly buckets: readonly number[];
  readonly sum: number;
}

/**
 * What is counted anyway, in the text format of Prometheus. A library for it would count a second time: it has no way in for
 * numbers, and histograms, that are there already.
 */
export class Exposition {
  readonly #lines: string[] = [];

  /** @param name of a counter it ends in `_total` */
  add(name: string, type: "counter" | "gauge", help: string, samples: readonly MetricSample[]): void {
    this.#begin(name, type, help);
    for (const { labels = {}, value } of samples) this.#sample(name, labels, value);
  }

  /** @param bounds the upper bounds of the buckets, the last of which has none */
  addHistogram(
    name: string,
    help: string,
    bounds: readonly number[],
    samples: readonly HistogramSample[],
  ): void {
    this.#begin(name, "histogram", help);
    for (const { labels, buckets, sum } of samples) {
      let count = 0;
      for (const [i, bound] of bounds.entries()) {
        count += buckets[i] ?? 0;
        this.#sample(`${name}_bucket`, { ...labels, le: String(bound) }, count);
      }
      count += buckets[bounds.length] ?? 0;
      this.#sample(`${name}_bucket`, { ...labels, le: "+Inf" }, count);
      this.#sample(`${name}_sum`, labels, sum);
      this.#sample(`${name}_count`, labels, count);
    }
  }

  /** The whole text. */
  get text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  #begin(name: string, type: string, help: string): void {
    this.#lines.push(`# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}`, `# TYPE ${name} ${type}`);
  }

  #sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(
      ([key, text]) => `${key}="${text.replace(/[\\\n"]/g, escaped)}"`,
    );
    this.#lines.push(`${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}`);
  }
}

const escaped = (character: string) => (character === "\n" ? "\\n" : `\\${character}`);
