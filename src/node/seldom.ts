/** Milliseconds for each line. */
const INTERVAL = 10_000;

/** A log of what may happen very often. */
export interface SeldomLog {
  add(line: string): void;
  /** Says how many lines were left out since the last one, where some were. */
  end(): void;
}

/**
 * Writes the first line at once, and then one every 10 s at most, with the number of those that were left out.
 *
 * @param tell puts a number of them into words
 * @param now milliseconds of a clock that never goes back
 */
export function seldom(
  log: (line: string) => void,
  tell: (count: number) => string,
  now = () => performance.now(),
): SeldomLog {
  let next = Number.NEGATIVE_INFINITY;
  let leftOut = 0;
  return {
    add(line) {
      if (now() < next) {
        leftOut++;
        return;
      }
      log(leftOut > 0 ? `${line}; ${tell(leftOut)} since the last line` : line);
      leftOut = 0;
      next = now() + INTERVAL;
    },
    end() {
      if (leftOut > 0) log(tell(leftOut));
      leftOut = 0;
    },
  };
}
