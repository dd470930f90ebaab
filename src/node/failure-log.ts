import { type FailedRequest, isRefusal } from "../export/failed-request.ts";
import { messageOf } from "../streams/message-of.ts";
import { seldom } from "./seldom.ts";

/** A log of the requests that an export fails at: whoever asked is told no more than an errno. */
export interface FailureLog {
  add(error: Error, request: FailedRequest): void;
  /** Says how many have failed since the last line, where some have. */
  end(): void;
}

/**
 * Tells a failure with its place and cause. Not each (`seldom`): whoever reads a broken disk asks again and again.
 *
 * @param now milliseconds of a clock that never goes back
 */
export function failureLog(log: (line: string) => void, now?: () => number): FailureLog {
  const more = (count: number) => `${count} more ${count === 1 ? "request has" : "requests have"} failed`;
  const lines = seldom(log, more, now);
  return {
    add(error, { command, offset, length }) {
      if (isRefusal(error)) return;
      const range = length > 0 ? ` of ${length} bytes at ${offset}` : "";
      lines.add(`${command}${range} failed: ${messageOf(error)}`);
    },
    end: () => lines.end(),
  };
}
