/** An address that cannot be had, in words, with a `code` as Node's own errors have it. */
export function addressFault(
  message: string,
  code: string | undefined,
  cause?: unknown,
): Error & { code: string | undefined } {
  return Object.assign(new Error(message, cause === undefined ? {} : { cause }), { code });
}
