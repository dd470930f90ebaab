/**
 * What was thrown, in words, and never nothing: an AggregateError has no message but those of its errors, as when a
 * connection was tried at several addresses; where others have none, their cause says more. It need not be an Error, nor have
 * any words.
 */
export function messageOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? wordsOf(thrown) : String(thrown);
  } catch {
    return "something without words";
  }
}

function wordsOf(error: Error): string {
  if (error.message) return error.message;
  const { errors, code, cause, name } = error as Partial<AggregateError> & { code?: string } & Error;
  if (errors?.length) return [...new Set(errors.map(messageOf))].join("; ");
  return cause === undefined ? (code ?? name) : messageOf(cause);
}
