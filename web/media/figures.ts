import type { RateSample, ServingReport } from "../serving/report.ts";
import type { MediaWords } from "../words/media-words.ts";
import { Chart, type ChartData } from "./chart.ts";
import { make } from "./make.ts";
import { writeAttribute, writeHidden, writeText } from "./only-changes.ts";
import { SampleHistory } from "./sample-history.ts";
import type { Units } from "./units.ts";

/** The figures under the charts, in their order. */
const COUNTED = ["bytesRead", "bytesWritten", "errors", "uptime", "outstanding", "hits"] as const;
type Counted = (typeof COUNTED)[number];

/** Stands for a number that there is not. */
const NONE = "–";

/** What was measured of a server, which may have ended. */
export interface Measured {
  readonly report: ServingReport;
  readonly isRunning: boolean;
  /** Bytes of the image. */
  readonly size: number;
  /** Since when the other machine has, or had, the disk. */
  readonly servedSince: number | undefined;
}

type ChartKind = "bytes" | "requests" | "latency";

/** A chart with what it says in numbers. */
class Panel {
  readonly chart: Chart;
  readonly title = make("dt");
  readonly now = make("b");
  readonly mean = make("span", { class: "quiet" });
  readonly element: HTMLElement;

  constructor(kind: ChartKind, onpoint: (time: number | undefined) => void) {
    this.chart = new Chart(onpoint);
    const value = make("dd", {}, this.now, " ", this.mean);
    const place = make("dd", { class: "chart-place", "aria-hidden": "true" }, this.chart.element);
    this.element = make("div", { class: "panel", part: `panel panel-${kind}` }, this.title, value, place);
  }

  /** @param beside what stands beside the value: the mean, or the time of a value that is pointed at */
  show(title: string, value: string, beside: string): void {
    writeText(this.title, title);
    writeText(this.now, value);
    writeText(this.mean, beside);
  }
}

/** What is measured while a file is served: rates with their charts, and what was counted. */
export class Figures {
  readonly element: HTMLElement;
  readonly history = new SampleHistory();
  readonly #panels: ReadonlyMap<ChartKind, Panel>;
  readonly #covered = make("dd");
  readonly #coveredTitle = make("dt");
  readonly #bar = make("progress", { part: "covered", max: "1", value: "0" });
  readonly #counted: ReadonlyMap<Counted, { title: HTMLElement; value: HTMLElement; row: HTMLElement }>;
  #drawn = "";
  #shown: { readonly isRunning: boolean; readonly words: MediaWords; readonly units: Units } | undefined;
  /** The sample that somebody points at. */
  #pointed: RateSample | undefined;

  constructor() {
    const kinds: ChartKind[] = ["bytes", "requests", "latency"];
    this.#panels = new Map(kinds.map((kind) => [kind, new Panel(kind, (time) => this.#point(time))]));
    this.#counted = new Map(
      COUNTED.map((name) => {
        const [title, value] = [make("dt"), make("dd")];
        return [name, { title, value, row: make("div", { class: "counted" }, title, value) }];
      }),
    );
    const panels = [...this.#panels.values()].map(({ element }) => element);
    const covered = make("div", { class: "covered" }, this.#coveredTitle, this.#covered);
    this.element = make(
      "div",
      { part: "figures", hidden: true },
      make("dl", { class: "panels" }, ...panels),
      make("dl", { class: "counts" }, covered, ...[...this.#counted.values()].map(({ row }) => row)),
    );
    covered.lastElementChild!.append(make("span", { part: "covered-text" }), this.#bar);
  }

  /** @param shown undefined: nothing is served, nor was */
  show(shown: Measured | undefined, words: MediaWords, units: Units) {
    const isShown = shown !== undefined && (shown.servedSince !== undefined || !this.history.isEmpty);
    writeHidden(this.element, !isShown);
    if (!shown || !isShown) return;
    this.#shown = { isRunning: shown.isRunning, words, units };
    this.#showRates();
    this.#showCounts(shown, words, units);
    this.#draw(units);
  }

  /** The width or the colours may be different. */
  refresh(): void {
    for (const { chart } of this.#panels.values()) chart.refresh();
  }

  /** Begins anew, for another file. */
  clear(): void {
    this.history.clear();
  }

  end(): void {
    for (const { chart } of this.#panels.values()) chart.end();
  }

  #showRates(): void {
    if (!this.#shown) return;
    const { isRunning, words, units } = this.#shown;
    const { figures } = words;
    const { bytesRead, bytesWritten, requests, latency } = this.history;
    const time = (milliseconds: number | undefined) =>
      milliseconds === undefined ? NONE : units.latency(milliseconds);
    const pointed = this.#pointed;
    const at = pointed && units.clock(pointed.at);
    const show = (kind: ChartKind, title: string, now: string, mean: string) => {
      const { chart } = this.#panels.get(kind)!;
      chart.mark(pointed && pointed.at / 1000);
      const value = pointed || isRunning ? now : NONE;
      this.#panels.get(kind)!.show(title, value, at ?? `${mean} ${figures.mean}`);
    };
    const { mean: isWritten } = bytesWritten;
    const title = isWritten > 0 ? figures.readAndWritten : figures.read;
    const bytes = pointed ? pointed.bytesRead + pointed.bytesWritten : bytesRead.now + bytesWritten.now;
    show("bytes", title, units.rate(bytes), units.rate(bytesRead.mean + isWritten));
    const many = pointed?.requests ?? requests.now;
    show("requests", figures.requests, units.perSecond(many), units.perSecond(requests.mean));
    const long = pointed ? pointed.latency : latency.now;
    show("latency", figures.latency, time(long), time(latency.mean));
  }

  /** Shows what was at a time, in seconds since 1970, in place of what is now. */
  #point(time: number | undefined): void {
    this.#pointed = time === undefined ? undefined : this.history.nearest(1000 * time);
    this.#showRates();
  }

  #showCounts(
    { report: { totals }, size, servedSince }: Measured,
    { figures }: MediaWords,
    units: Units,
  ): void {
    const share = size > 0 ? Math.min(1, totals.bytesCovered / size) : 0;
    writeText(this.#coveredTitle, figures.covered);
    const amounts = figures.coveredOf(units.bytes(Math.min(totals.bytesCovered, size)), units.bytes(size));
    writeText(this.#covered.firstElementChild!, `${units.share(share)}, ${amounts}`);
    writeAttribute(this.#bar, "value", share.toFixed(3));
    writeAttribute(this.#bar, "aria-label", figures.covered);
    const reads = totals.hits + totals.misses;
    const values: Readonly<Record<Counted, string | undefined>> = {
      bytesRead: units.bytes(totals.bytesRead),
      bytesWritten: totals.writes > 0 ? units.bytes(totals.bytesWritten) : undefined,
      errors: totals.errors > 0 ? units.count(totals.errors) : undefined,
      uptime: servedSince === undefined ? undefined : uptime(servedSince, figures, units),
      outstanding: units.count(totals.outstanding),
      hits: reads > 0 ? units.share(totals.hits / reads) : NONE,
    };
    for (const [name, { title, value, row }] of this.#counted) {
      writeText(title, figures[name]);
      writeText(value, values[name] ?? "");
      writeHidden(row, values[name] === undefined);
      writeAttribute(row, "data-bad", name === "errors" ? "" : undefined);
    }
  }

  /** Draws what is new. */
  #draw(units: Units): void {
    const key = `${this.history.version} ${units.language}`;
    if (key === this.#drawn) return;
    this.#drawn = key;
    const { times, read, written, requests, latency } = this.history.columns();
    const lines: Readonly<Record<ChartKind, ChartData["lines"]>> = {
      bytes: written.some((value) => value > 0) ? [read, written] : [read],
      requests: [requests],
      latency: [latency],
    };
    for (const [kind, { chart }] of this.#panels) chart.show({ times, lines: lines[kind] }, units);
  }
}

/** Tells whole minutes, so that it stays as it is for as long. */
function uptime(since: number, figures: MediaWords["figures"], units: Units): string {
  const span = Date.now() - since;
  return figures.since(units.minute(since), span < 60_000 ? undefined : units.span(span));
}
