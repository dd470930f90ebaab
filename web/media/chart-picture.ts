/** Seconds that are shown at least, so that the first ones are not drawn out. */
const LEAST = 60;

/** Where things are in a chart, in pixels of the page: the lines are drawn between these borders. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** What the borders of a chart stand for: seconds since 1970 from left to right, values from 0 up to `most`. */
export interface Scale {
  readonly from: number;
  readonly to: number;
  readonly most: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export function scaleOf(times: readonly number[], lines: readonly (readonly (number | null)[])[]): Scale {
  const to = times.at(-1) ?? 0;
  const from = Math.min(times[0] ?? 0, to - LEAST);
  return { from, to, most: roundedUp(Math.max(0, ...lines.flat().map((value) => value ?? 0))) };
}

/** The points of a line, in pieces: where there is no value it is interrupted. */
export function piecesOf(
  times: readonly number[],
  values: readonly (number | null)[],
  { from, to, most }: Scale,
  { left, top, right, bottom }: Frame,
): Point[][] {
  const pieces: Point[][] = [[]];
  for (const [i, time] of times.entries()) {
    const value = values[i] ?? null;
    if (value === null) pieces.push([]);
    else {
      const x = left + ((time - from) / (to - from)) * (right - left);
      pieces.at(-1)!.push({ x, y: bottom - (value / most) * (bottom - top) });
    }
  }
  return pieces.filter(({ length }) => length > 0);
}

/** Whole minutes between two times, so many at most, in seconds since 1970. */
export function minutesBetween({ from, to }: Scale, most: number): number[] {
  const step = 60 * Math.max(1, Math.ceil((to - from) / 60 / Math.max(1, most)));
  const first = Math.ceil(from / step) * step;
  const count = Math.max(0, Math.floor((to - first) / step) + 1);
  return Array.from({ length: count }, (_, i) => first + i * step);
}

/** The next number with one digit that can be halved, so that a scale stays as it is while values change a little. */
function roundedUp(most: number): number {
  if (most <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(most));
  return unit * ([1, 2, 4, 6, 8].find((digit) => digit * unit >= most) ?? 10);
}
