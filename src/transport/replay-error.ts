import type { Side } from "./conversation.ts";

/** A side did not say what the recording has. */
export class ReplayError extends Error {
  override name = "ReplayError";
  /** The side that was listened to. */
  readonly from: Side;
  /** Where the first difference is: bytes from the beginning of what this side says. */
  readonly offset: number;
  /** The byte in the recording; undefined where the recording has ended. */
  readonly expected: number | undefined;
  /** The byte that came; undefined where none did. */
  readonly actual: number | undefined;
  /** The line of the recording's text, where it was read from one. */
  readonly line: number | undefined;

  constructor(problem: string, at: Pick<ReplayError, "from" | "offset" | "expected" | "actual" | "line">) {
    super(at.line === undefined ? problem : `${problem} (line ${at.line} of the recording)`);
    this.from = at.from;
    this.offset = at.offset;
    this.expected = at.expected;
    this.actual = at.actual;
    this.line = at.line;
  }
}
