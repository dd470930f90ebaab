import { timesOf } from "../serving/read-level.ts";
import type { BlockMap } from "../serving/report.ts";
import type { MediaWords } from "../words/media-words.ts";
import { make } from "./make.ts";
import {
  cellAt,
  cellBelow,
  layOut,
  lookOf,
  looksOf,
  type MapLayout,
  meanShare,
  SHADES,
  STRENGTHS,
} from "./map-picture.ts";
import { writeAttribute, writeHidden, writeText } from "./only-changes.ts";
import type { Units } from "./units.ts";

/** Milliseconds between two drawings at least. */
const INTERVAL = 1000;

interface Colours {
  readonly unread: string;
  readonly read: string;
  readonly written: string;
  readonly cached: string;
}

/** The map of an image on a canvas, with its legend. Of a new map only the cells are drawn that look different. */
export class BlockMapView {
  readonly element: HTMLElement;
  readonly #title = make("span");
  /** What is told of the cell under the pointer. */
  readonly #cell = make("span", { part: "cell" });
  readonly #canvas = make("canvas", { part: "map", role: "img" });
  /** Their colours, which a style sheet may set, are those of the canvas too. */
  readonly #swatches = {
    unread: swatch("unread"),
    read: swatch("read"),
    written: swatch("written"),
    cached: swatch("cached"),
  };
  readonly #unread = make("span");
  readonly #times = make("span");
  readonly #written = make("span");
  readonly #cached = make("span");
  readonly #context = this.#canvas.getContext("2d", { alpha: false });
  #map: BlockMap | undefined;
  #words: MediaWords | undefined;
  #units: Units | undefined;
  /** Where the pointer is, in pixels of the page. */
  #pointed: readonly [x: number, y: number] | undefined;
  #layout: MapLayout | undefined;
  #looks: Uint16Array = new Uint16Array(0);
  #colours = "";
  #frame = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor() {
    const scale = STRENGTHS.slice(1).map((strength, i) => {
      const one = swatch("read");
      one.style.setProperty("--strength", `${100 * strength}%`);
      return make(
        "span",
        { class: "shade" },
        one,
        i === 0 ? "<1" : `${SHADES[i - 1]}${i === SHADES.length ? "+" : ""}`,
      );
    });
    // The full shade stands for the colour.
    const strongest = scale.at(-1)!.firstElementChild as HTMLElement;
    this.#swatches.read = strongest;
    const legend = make(
      "p",
      { class: "legend", part: "legend" },
      make("span", {}, this.#swatches.unread, this.#unread),
      make("span", { class: "shades" }, this.#times, ...scale),
      make("span", {}, this.#swatches.written, this.#written),
      make("span", {}, this.#swatches.cached, this.#cached),
    );
    const title = make("figcaption", {}, this.#title, this.#cell);
    this.element = make("figure", { part: "map-figure", hidden: true }, title, this.#canvas, legend);
    this.#canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => this.#point([offsetX, offsetY]));
    this.#canvas.addEventListener("pointerleave", () => this.#point(undefined));
  }

  /** @param map undefined: none */
  show(map: BlockMap | undefined, covered: number, words: MediaWords, units: Units): void {
    writeHidden(this.element, !map);
    if (!map) {
      this.#map = undefined;
      return;
    }
    const written = meanShare(map.writes);
    const cached = meanShare(map.cached);
    const { map: told } = words;
    writeText(this.#title, told.title);
    writeText(this.#unread, told.unread);
    writeText(this.#times, told.times);
    writeText(this.#written, `${told.written} ${units.share(written)}`);
    writeText(this.#cached, `${told.cached} ${units.share(cached)}`);
    const shares = { read: covered, written, cached, cellSize: map.cellSize };
    writeAttribute(this.#canvas, "aria-label", told.told(shares, units));
    this.#words = words;
    this.#units = units;
    if (map === this.#map) return;
    this.#map = map;
    this.#tellCell();
    this.#drawSoon();
  }

  /** The width, the density or the colours may be different: that is seen at once. */
  refresh(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drawnAt = Number.NEGATIVE_INFINITY;
    if (this.#map) this.#drawSoon();
  }

  end(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#frame = 0;
  }

  /** Before the next frame that is seen, and not too often. */
  #drawSoon(): void {
    if (this.#frame !== 0 || this.#timer !== undefined) return;
    const left = this.#drawnAt + INTERVAL - performance.now();
    const ask = () => {
      this.#timer = undefined;
      this.#frame = requestAnimationFrame(() => {
        this.#frame = 0;
        this.#draw();
      });
    };
    if (left > 0) this.#timer = setTimeout(ask, left);
    else ask();
  }

  #draw(): void {
    const map = this.#map;
    const width = this.#canvas.clientWidth;
    if (!map || !this.#context || width === 0) return;
    this.#drawnAt = performance.now();
    const layout = layOut(map.reads.length, width, devicePixelRatio);
    const colours = this.#colourNames();
    const names = JSON.stringify(colours);
    const isNew = names !== this.#colours || JSON.stringify(layout) !== JSON.stringify(this.#layout);
    if (isNew) {
      this.#canvas.width = layout.width;
      this.#canvas.height = layout.height;
      this.#canvas.style.height = `${layout.height / devicePixelRatio}px`;
      this.#context.fillStyle = getComputedStyle(this.#canvas).backgroundColor;
      this.#context.fillRect(0, 0, layout.width, layout.height);
    }
    const before = isNew ? new Uint16Array(0) : this.#looks;
    const looks = looksOf(map);
    for (const [i, look] of looks.entries()) if (before[i] !== look) this.#drawCell(i, look, layout, colours);
    this.#looks = looks;
    this.#layout = layout;
    this.#colours = names;
  }

  #point(place: readonly [x: number, y: number] | undefined): void {
    this.#pointed = place;
    this.#tellCell();
  }

  #tellCell(): void {
    writeText(this.#cell, this.#toldOfCell());
  }

  /** What there is under the pointer; nothing where no cell is. */
  #toldOfCell(): string {
    const [x = 0, y = 0] = (this.#pointed ?? [Number.NaN]).map((at) => at * devicePixelRatio);
    const map = this.#map;
    const index = map && this.#layout && cellBelow(x, y, map.reads.length, this.#layout);
    const units = this.#units;
    if (index === undefined || !map || !units) return "";
    const { cellSize, reads, writes, cached } = map;
    const times = timesOf(reads[index]!);
    const cell = {
      from: units.bytes(index * cellSize),
      to: units.bytes((index + 1) * cellSize),
      times: times > 0 && times < 0.95 ? "<1" : units.count(times),
      written: writes[index]! / 255,
      cached: cached[index]! / 255,
    };
    return this.#words!.map.cell(cell, units);
  }

  #drawCell(index: number, look: number, layout: MapLayout, colours: Colours): void {
    const context = this.#context!;
    const { x, y, width, height } = cellAt(index, layout);
    const { shade, written, cached } = lookOf(look);
    const fill = (colour: string, top: number, part: number, strength = 1) => {
      context.globalAlpha = strength;
      context.fillStyle = colour;
      context.fillRect(x, y + top, width, part);
    };
    fill(colours.unread, 0, height);
    if (shade > 0) fill(colours.read, 0, height, STRENGTHS[shade]);
    // By place as well as by colour: written from above, what is in the cache as a line below.
    if (written > 0) fill(colours.written, 0, Math.max(1, Math.round((written * height) / 2)));
    const line = Math.max(1, Math.round(height / 4));
    if (cached > 0) {
      context.globalAlpha = 1;
      context.fillStyle = colours.cached;
      context.fillRect(x, y + height - line, Math.max(1, Math.round(width * cached)), line);
    }
    context.globalAlpha = 1;
  }

  #colourNames(): Colours {
    const of = (element: Element) => getComputedStyle(element).color;
    const { unread, read, written, cached } = this.#swatches;
    return { unread: of(unread), read: of(read), written: of(written), cached: of(cached) };
  }
}

function swatch(kind: string): HTMLElement {
  return make("i", { class: `swatch ${kind}`, "aria-hidden": "true" });
}
