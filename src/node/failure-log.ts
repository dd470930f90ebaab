import { type FailedRequest, isRefusal } from "../export/failed-request.ts";
import { messageOf } from "../streams/message-of.ts";

/** Milliseconds for each line. */
const INTERVAL = 10_000;

/** A log of the requests that an export fails at: whoever asked is told no more than an errno. */
export interface FailureLog {
  add(error: Error, request: FailedRequest): void;
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
      if (isRefusal(error)) return;
      if (now() < next) {
        leftOut++;
        return;
      }
      const range = length > 0 ? ` of ${length} bytes at ${offset}` : "";
      log(
        `${command}${range} failed: ${messageOf(error)}${leftOut > 0 ? `; ${more()} since the last line` : ""}`,
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
