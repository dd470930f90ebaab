import type { Side } from "./conversation.ts";

/** A side did not say what was recorded. */
export class ReplayError extends Error {
  override name = "ReplayError";
  /** The side that was listened to. */
  readonly from: Side;
  /** The first difference, in bytes from the beginning of what this side says. */
  readonly offset: number;
  /** The recorded byte; undefined if the recording has ended. */
  readonly expected: number | undefined;
  /** The byte that came; undefined if none did. */
  readonly actual: number | undefined;
  /** The line in the text of the recording, if it was read from a text. */
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
