import { messageOf } from "../../src/streams/message-of.ts";
import type { ServingReport } from "../serving/report.ts";
import type { MediaWords } from "../words/media-words.ts";
import type { ChartKind, Charts } from "./charts.ts";
import { make } from "./make.ts";
import { writeAttribute, writeHidden, writeText } from "./only-changes.ts";
import { SampleHistory } from "./sample-history.ts";
import type { Units } from "./units.ts";

/** The figures under the charts, in their order. */
const COUNTED = ["bytesRead", "bytesWritten", "errors", "uptime", "outstanding", "hits"] as const;
type Counted = (typeof COUNTED)[number];

/** A chart with what it says in numbers. */
class Panel {
  readonly place = make("div", { class: "chart", "aria-hidden": "true" });
  readonly title = make("dt");
  readonly now = make("b");
  readonly mean = make("span", { class: "quiet" });
  readonly element: HTMLElement;

  constructor(kind: ChartKind) {
    const value = make("dd", {}, this.now, " ", this.mean);
    this.element = make(
      "div",
      { class: "panel", part: `panel panel-${kind}` },
      this.title,
      value,
      this.place,
    );
    this.element.removeAttribute("id");
  }

  show(title: string, now: string, mean: string, words: MediaWords): void {
    writeText(this.title, title);
    writeText(this.now, now);
    writeText(this.mean, `${mean} ${words.figures.mean}`);
  }
}

/** What is measured while a file is served: rates with their charts, and what was counted. */
export class Figures {
  readonly element: HTMLElement;
  readonly history = new SampleHistory();
  readonly #root: ShadowRoot;
  readonly #panels: ReadonlyMap<ChartKind, Panel>;
  readonly #covered = make("dd");
  readonly #coveredTitle = make("dt");
  readonly #bar = make("progress", { part: "covered", max: "1", value: "0" });
  readonly #counted: ReadonlyMap<Counted, { title: HTMLElement; value: HTMLElement; row: HTMLElement }>;
  readonly #onfault: (words: string) => void;
  #charts: Charts | "asked for" | undefined;
  #language = "";
  /** Grows with each end: what was asked for before it is not wanted any more. */
  #generation = 0;

  /** @param onfault is told why there are no charts */
  constructor(root: ShadowRoot, onfault: (words: string) => void) {
    this.#root = root;
    this.#onfault = onfault;
    const kinds: ChartKind[] = ["bytes", "requests", "latency"];
    this.#panels = new Map(kinds.map((kind) => [kind, new Panel(kind)]));
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
  show(
    shown: { report: ServingReport; size: number; servedSince: number | undefined } | undefined,
    words: MediaWords,
    units: Units,
  ) {
    const isShown = shown !== undefined && (shown.servedSince !== undefined || !this.history.isEmpty);
    writeHidden(this.element, !isShown);
    if (!shown || !isShown) return;
    this.#language = words.language;
    this.#showRates(words, units);
    this.#showCounts(shown.report, shown.size, words, units, shown.servedSince);
    if (!this.history.isEmpty) this.#draw();
  }

  /** The width or the colours may be different. */
  refresh(): void {
    if (typeof this.#charts === "object") this.#charts.refresh();
  }

  /** Begins anew, for another file. */
  clear(): void {
    this.history.clear();
  }

  /** Ends the charts; they come again when there is something to show. */
  end(): void {
    this.#generation++;
    if (typeof this.#charts === "object") this.#charts.end();
    this.#charts = undefined;
  }

  #showRates({ figures, ...words }: MediaWords, units: Units): void {
    const { bytesRead, bytesWritten, requests, latency } = this.history;
    const all = { ...words, figures };
    const time = (milliseconds: number | undefined) =>
      milliseconds === undefined ? "–" : units.latency(milliseconds);
    const isWritten = bytesWritten.mean > 0;
    const now = bytesRead.now + bytesWritten.now;
    const mean = bytesRead.mean + bytesWritten.mean;
    const title = isWritten ? `${figures.read} + ${figures.written.toLowerCase()}` : figures.read;
    this.#panels.get("bytes")!.show(title, units.rate(now), units.rate(mean), all);
    const { now: many, mean: often } = requests;
    this.#panels.get("requests")!.show(figures.requests, units.perSecond(many), units.perSecond(often), all);
    this.#panels.get("latency")!.show(figures.latency, time(latency.now), time(latency.mean), all);
  }

  #showCounts(
    { totals }: ServingReport,
    size: number,
    { figures }: MediaWords,
    units: Units,
    servedSince: number | undefined,
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
      hits: reads > 0 ? units.share(totals.hits / reads) : "–",
    };
    for (const [name, { title, value, row }] of this.#counted) {
      writeText(title, figures[name]);
      writeText(value, values[name] ?? "");
      writeHidden(row, values[name] === undefined);
      writeAttribute(row, "data-bad", name === "errors" ? "" : undefined);
    }
  }

  #draw(): void {
    if (typeof this.#charts === "object") this.#charts.show(this.history.columns());
    else if (!this.#charts) void this.#load(this.#generation);
  }

  async #load(generation: number): Promise<void> {
    // They are not asked for again if they cannot be had: the numbers are there.
    this.#charts = "asked for";
    try {
      const { Charts: Loaded } = await import("./charts.ts");
      if (generation !== this.#generation) return;
      const places = new Map([...this.#panels].map(([kind, { place }]) => [kind, place] as const));
      this.#charts = new Loaded(this.#root, places, this.#language);
      this.#charts.show(this.history.columns());
    } catch (error) {
      this.#onfault(messageOf(error));
    }
  }
}

/** Tells whole minutes, so that it stays as it is for as long. */
function uptime(since: number, figures: MediaWords["figures"], units: Units): string {
  const span = Date.now() - since;
  return figures.since(units.minute(since), span < 60_000 ? undefined : units.span(span));
}
