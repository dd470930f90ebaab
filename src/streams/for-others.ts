import { checkObject } from "./check.ts";

/**
 * What an error says to the other side of a link, who may be anybody. Its message is for this machine, and may name paths,
 * configurations and processes of it.
 */
export interface ForOthers {
  readonly forOthers: string;
}

const NOTHING_TO_TELL = "the session failed; the log of the other machine says why";

/** What the other side of a link is told about an error: the words that the error has for others, and no others. */
export function wordsForOthers(reason: unknown): string {
  const { forOthers } = (reason ?? {}) as Partial<ForOthers>;
  return typeof forOthers === "string" ? forOthers : NOTHING_TO_TELL;
}

/** Gives an error words for others. Default: those that it has, as they are. */
export function withWordsForOthers<E extends Error>(error: E, forOthers?: string): E & ForOthers {
  checkObject(error, "the error");
  return Object.assign(error, { forOthers: forOthers ?? error.message });
}
