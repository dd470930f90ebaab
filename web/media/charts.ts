import uPlot from "uplot";
import uplotStyle from "uplot/dist/uPlot.min.css";
import type { Columns } from "./sample-history.ts";
import { styleSheet } from "./style-sheet.ts";

/** What a chart shows: one line for each name of a column. */
export type ChartKind = "bytes" | "requests" | "latency";

const HEIGHT = 96;

/** Seconds that are shown at least, so that the first ones are not drawn out. */
const LEAST = 60;

/** Charts of the last minutes. Loaded when they are first shown. */
export class Charts {
  readonly #charts = new Map<ChartKind, uPlot>();
  readonly #places: ReadonlyMap<ChartKind, HTMLElement>;
  readonly #language: string;
  #colours = "";
  #columns: Columns | undefined;

  /**
   * @param root where their style goes
   * @param places empty elements; the colours of the lines are theirs
   */
  constructor(root: ShadowRoot, places: ReadonlyMap<ChartKind, HTMLElement>, language: string) {
    const sheet = styleSheet(uplotStyle);
    if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
    this.#places = places;
    this.#language = language;
  }

  show(columns: Columns): void {
    this.#columns = columns;
    this.#make();
    for (const [kind, chart] of this.#charts) chart.setData(dataOf(kind, columns));
  }

  /** The width or the colours may be different. */
  refresh(): void {
    if (!this.#columns) return;
    this.#make();
    for (const [kind, chart] of this.#charts) {
      const width = this.#places.get(kind)!.clientWidth;
      if (width > 0 && chart.width !== width) chart.setSize({ width, height: HEIGHT });
    }
  }

  end(): void {
    for (const chart of this.#charts.values()) chart.destroy();
    this.#charts.clear();
  }

  /** Makes those that are not there, or all anew where colours are different: they belong to the lines from the beginning. */
  #make(): void {
    const [first] = this.#places.values();
    const colours = first ? JSON.stringify(coloursOf(first)) : "";
    if (colours !== this.#colours) this.end();
    this.#colours = colours;
    for (const [kind, place] of this.#places) {
      const width = place.clientWidth;
      if (width === 0 || this.#charts.has(kind)) continue;
      const options = this.#optionsOf(kind, coloursOf(place), width);
      this.#charts.set(kind, new uPlot(options, dataOf(kind, this.#columns!), place));
    }
  }

  #optionsOf(
    kind: ChartKind,
    { read, written, quiet, line, font }: ChartColours,
    width: number,
  ): uPlot.Options {
    const time = new Intl.DateTimeFormat(this.#language, {
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
    const number = new Intl.NumberFormat(this.#language, { maximumSignificantDigits: 3 });
    const grid = { stroke: line, width: 1 };
    const axis = { stroke: quiet, font, grid, ticks: { show: false } };
    const series = (stroke: string, dash?: number[]): uPlot.Series => ({
      ...{ stroke, width: 1.5, points: { show: false } },
      ...(dash ? { dash } : { fill: withAlpha(stroke) }),
    });
    return {
      width,
      height: HEIGHT,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { range: (_chart, least, most) => [Math.min(least ?? 0, (most ?? 0) - LEAST), most ?? 0] },
        y: { range: (_chart, _least, most) => [0, roundUp(most)] },
      },
      axes: [
        {
          ...axis,
          size: 20,
          gap: 2,
          space: 70,
          values: (_chart, at) => at.map((one) => time.format(1000 * one)),
        },
        { ...axis, size: 48, gap: 4, space: 24, values: (_chart, at) => at.map((one) => number.format(one)) },
      ],
      series: [{}, series(read), ...(kind === "bytes" ? [series(written, [4, 3])] : [])],
    };
  }
}

interface ChartColours {
  readonly read: string;
  readonly written: string;
  readonly quiet: string;
  readonly line: string;
  readonly font: string;
}

function coloursOf(place: HTMLElement): ChartColours {
  const { color, outlineColor, borderTopColor, textDecorationColor, fontFamily } = getComputedStyle(place);
  return {
    ...{ read: color, written: outlineColor, line: borderTopColor, quiet: textDecorationColor },
    font: `11px ${fontFamily}`,
  };
}

/** The same colour, so weak that lines behind it are seen. */
function withAlpha(colour: string): string {
  return `color-mix(in srgb, ${colour} 14%, transparent)`;
}

function dataOf(kind: ChartKind, columns: Columns): uPlot.AlignedData {
  const { times, read, written, requests, latency } = columns;
  if (kind === "bytes") return [times, read, written];
  return [times, kind === "requests" ? requests : latency];
}

/** The next number with one digit, so that the scale stays as it is while values change a little. */
function roundUp(most: number | null): number {
  if (!most || most <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(most));
  const steps = [1, 2, 3, 4, 5, 6, 8, 10].map((step) => step * unit);
  return steps.find((step) => step >= most) ?? most;
}
