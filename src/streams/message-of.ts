/**
 * The message of whatever was thrown; never empty. An AggregateError, as of a connection to several addresses, has only the
 * messages of its errors. For another error without a message, its code, its cause or its name stands in.
 */
export function messageOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? wordsOf(thrown) : String(thrown);
  } catch {
    return "an error that cannot be shown";
  }
}

function wordsOf(error: Error): string {
  if (error.message) return error.message;
  const { errors, code, cause, name } = error as Partial<AggregateError> & { code?: string } & Error;
  if (errors?.length) return [...new Set(errors.map(messageOf))].join("; ");
  return cause === undefined ? (code ?? name) : messageOf(cause);
}
