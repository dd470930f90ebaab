import { type Frame, minutesBetween, piecesOf, type Scale, scaleOf } from "./chart-picture.ts";
import { make } from "./make.ts";
import type { Units } from "./units.ts";

/** How many times the size of the letters there is between two names of minutes at least. */
const APART = 6;

/** What a chart shows: for each time the values of its lines. */
export interface ChartData {
  /** In seconds since 1970. */
  readonly times: readonly number[];
  readonly lines: readonly (readonly (number | null)[])[];
}

/**
 * Lines over time on a canvas, drawn when they or their surroundings are different. Its style is the element's: the lines have its
 * `color` and `outline-color`, the grid its `border-color`, the words its `text-decoration-color`.
 */
export class Chart {
  readonly element = make("canvas", { class: "chart" });
  readonly #context = this.element.getContext("2d");
  #data: ChartData = { times: [], lines: [] };
  /** A time that is pointed at, in seconds since 1970. */
  #pointed: number | undefined;
  #units: Units | undefined;
  #frame = 0;

  /** @param onpoint takes the time that somebody points at, in seconds since 1970; undefined: none */
  constructor(onpoint: (time: number | undefined) => void) {
    this.element.addEventListener("pointermove", ({ offsetX }) => onpoint(this.#timeAt(offsetX)));
    this.element.addEventListener("pointerleave", () => onpoint(undefined));
  }

  /** Marks a time; undefined: none. */
  mark(time: number | undefined): void {
    if (time === this.#pointed) return;
    this.#pointed = time;
    this.refresh();
  }

  show(data: ChartData, units: Units): void {
    this.#data = data;
    this.#units = units;
    this.refresh();
  }

  /** Draws it again before the next frame that is seen. */
  refresh(): void {
    if (this.#frame !== 0 || !this.#units) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  end(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  #draw(): void {
    const { clientWidth: width, clientHeight: height } = this.element;
    const context = this.#context;
    if (!context || !this.#units || width === 0) return;
    const density = devicePixelRatio;
    this.element.width = Math.round(width * density);
    this.element.height = Math.round(height * density);
    context.scale(density, density);
    const style = getComputedStyle(this.element);
    context.font = `${style.fontSize} ${style.fontFamily}`;
    const { times, lines } = this.#data;
    const scale = scaleOf(times, lines);
    const letters = Number.parseFloat(style.fontSize);
    const frame = frameOf(width, height, letters);
    this.#drawGrid(context, scale, frame, style);
    for (const [i, values] of lines.entries()) {
      const colour = i === 0 ? style.color : style.outlineColor;
      this.#drawLine(
        context,
        piecesOf(times, values, scale, frame),
        colour,
        i === 0 ? frame.bottom : undefined,
      );
    }
  }

  #timeAt(x: number): number | undefined {
    const { times, lines } = this.#data;
    if (times.length === 0) return undefined;
    const { from, to } = scaleOf(times, lines);
    const { clientWidth, clientHeight } = this.element;
    const letters = Number.parseFloat(getComputedStyle(this.element).fontSize);
    const { left, right } = frameOf(clientWidth, clientHeight, letters);
    return from + ((x - left) / (right - left)) * (to - from);
  }

  #drawGrid(context: CanvasRenderingContext2D, scale: Scale, frame: Frame, style: CSSStyleDeclaration): void {
    const { left, top, right, bottom } = frame;
    const units = this.#units!;
    const hasTimes = this.#data.times.length > 0;
    context.lineWidth = 1;
    context.strokeStyle = style.borderTopColor;
    context.fillStyle = style.textDecorationColor;
    const line = (fromX: number, fromY: number, toX: number, toY: number) => {
      context.beginPath();
      context.moveTo(Math.round(fromX) + 0.5, Math.round(fromY) + 0.5);
      context.lineTo(Math.round(toX) + 0.5, Math.round(toY) + 0.5);
      context.stroke();
    };
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const part of [0, 0.5, 1]) {
      const y = bottom - part * (bottom - top);
      line(left, y, right, y);
      if (hasTimes) context.fillText(units.tick(part * scale.most), left - 6, y);
    }
    if (!hasTimes) return;
    context.textBaseline = "top";
    const letters = Number.parseFloat(style.fontSize);
    for (const minute of minutesBetween(scale, (right - left) / (APART * letters))) {
      const x = left + ((minute - scale.from) / (scale.to - scale.from)) * (right - left);
      line(x, top, x, bottom);
      context.textAlign = x > right - 1.5 * letters ? "right" : x < left + 1.5 * letters ? "left" : "center";
      context.fillText(units.minute(1000 * minute), x, bottom + letters / 2);
    }
    if (this.#pointed === undefined) return;
    context.strokeStyle = style.textDecorationColor;
    const x = left + ((this.#pointed - scale.from) / (scale.to - scale.from)) * (right - left);
    line(x, top, x, bottom);
  }

  /** @param bottom of what is filled below the line; undefined: nothing, and the line is dashed, to tell it from the other one */
  #drawLine(
    context: CanvasRenderingContext2D,
    pieces: ReturnType<typeof piecesOf>,
    colour: string,
    bottom: number | undefined,
  ): void {
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.lineCap = "round";
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.setLineDash(bottom === undefined ? [4, 4] : []);
    for (const points of pieces) {
      context.beginPath();
      for (const { x, y } of points) context.lineTo(x, y);
      // One point alone is a line too, of no length, with round ends.
      if (points.length === 1) context.lineTo(points[0]!.x, points[0]!.y);
      context.stroke();
      if (bottom === undefined) continue;
      context.lineTo(points.at(-1)!.x, bottom);
      context.lineTo(points[0]!.x, bottom);
      context.globalAlpha = 0.14;
      context.fill();
      context.globalAlpha = 1;
    }
    context.setLineDash([]);
  }
}

/** Beside it there is room for the words of the axes. */
function frameOf(width: number, height: number, letters: number): Frame {
  return { left: 4 * letters, top: letters, right: width - 2, bottom: height - 1.75 * letters };
}
