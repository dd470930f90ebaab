import { checkObject } from "./check.ts";

/**
 * An error with words for the other side of a link, which may be anybody. Its message is for this machine only: it may name
 * paths, configurations and processes.
 */
export interface ForOthers {
  readonly forOthers: string;
}

const NOTHING_TO_TELL = "the session failed; the log of the other machine says why";

/** What the other side of a link is told about an error: its `forOthers`, else that the session failed. */
export function wordsForOthers(reason: unknown): string {
  const { forOthers } = (reason ?? {}) as Partial<ForOthers>;
  return typeof forOthers === "string" ? forOthers : NOTHING_TO_TELL;
}

/** Gives an error words for others. Default: its message. */
export function withWordsForOthers<E extends Error>(error: E, forOthers?: string): E & ForOthers {
  checkObject(error, "the error");
  return Object.assign(error, { forOthers: forOthers ?? error.message });
}
