import { HttpError } from "../../export/http/http-error.ts";
import { withWordsForOthers } from "../../streams/for-others.ts";
import { SourceError } from "./source-error.ts";

/** Gives what a file could not be opened with words for who has asked for it; any other error is as it was. */
export function withWordsOfPull(error: unknown): unknown {
  if (!(error instanceof HttpError)) return error;
  const refused = refusedIn(error);
  return refused ?? withWordsForOthers(error);
}

/** Why it was not fetched, where an error comes of that. */
export function refusedIn(error: unknown): SourceError | undefined {
  for (let one = error; one instanceof Error; one = one.cause) if (one instanceof SourceError) return one;
  return undefined;
}
