import { Errno, ExportError } from "../export/error.ts";
import type { CountedRequest } from "../export/filters/statistics.ts";

/** Milliseconds for each line. */
const INTERVAL = 10_000;

/** With these an export says that it does not do such a thing, or not any more, and not that its medium has failed. */
const REFUSALS: ReadonlySet<number> = new Set([
  Errno.EINVAL,
  Errno.EOVERFLOW,
  Errno.ENOTSUP,
  Errno.ESHUTDOWN,
]);

/** A log of the requests that an export fails at: whoever asked is told no more than an errno. */
export interface FailureLog {
  add(error: Error, request: CountedRequest): void;
  /** Says how many have failed since the last line, where some have. */
  end(): void;
}

/**
 * Tells the first failure at once, with its place and cause, and then one every 10 s at most, with the number of those that
 * were left out: whoever reads a broken disk asks again and again.
 *
 * @param now milliseconds of a clock that never goes back
 */
export function failureLog(log: (line: string) => void, now = () => performance.now()): FailureLog {
  let next = Number.NEGATIVE_INFINITY;
  let leftOut = 0;
  const more = () => `${leftOut} more ${leftOut === 1 ? "request has" : "requests have"} failed`;
  return {
    add(error, { command, offset, length }) {
      if (error instanceof ExportError && REFUSALS.has(error.errno)) return;
      if (now() < next) {
        leftOut++;
        return;
      }
      const range = length > 0 ? ` of ${length} bytes at ${offset}` : "";
      log(
        `${command}${range} failed: ${error.message}${leftOut > 0 ? `; ${more()} since the last line` : ""}`,
      );
      leftOut = 0;
      next = now() + INTERVAL;
    },
    end() {
      if (leftOut > 0) log(more());
      leftOut = 0;
    },
  };
}
