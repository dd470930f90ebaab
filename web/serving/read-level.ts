/** Levels from one doubling to the next. */
const STEPS = 16;

/** The level that means: as often as can be told, or more. */
const MOST = 255;

/** How often something was read, on average, as a level: 0 never, 16 once, 32 three times, 48 seven times, at most 255. */
export function readLevel(times: number): number {
  if (times === 0) return 0;
  return Math.min(MOST, Math.max(1, Math.round(STEPS * Math.log2(1 + times))));
}

/** How often something of this level was read, about. */
export function timesOf(level: number): number {
  return 2 ** (level / STEPS) - 1;
}
