/**
 * What an error says, in words, and never nothing: an AggregateError has no message but those of its errors, as when a
 * connection was tried at several addresses; where others have none, their cause says more.
 */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message) return error.message;
  const { errors, code, cause, name } = error as Partial<AggregateError> & { code?: string } & Error;
  if (errors?.length) return [...new Set(errors.map(messageOf))].join("; ");
  return cause === undefined ? (code ?? name) : messageOf(cause);
}
