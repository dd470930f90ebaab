/** Bytes a second that a server manages at least in what it does without being sent them, as writing zeroes to a slow disk. */
const SLOWEST = 10_000_000;

/** The part of the timeout in which all that was asked for is to be done. The rest is for what else the server does. */
const PART = 1 / 2;

/**
 * How many bytes TRIM, WRITE_ZEROES and CACHE may be asked for at a time. They say nothing before they are done, so what
 * is outstanding has to be small enough for a slow server that works on all of it side by side.
 *
 * @param timeout milliseconds after which a request without an answer counts as lost; 0: never
 */
export function effectWindow(timeout: number): number {
  return timeout === 0 ? Number.POSITIVE_INFINITY : (SLOWEST * timeout * PART) / 1000;
}
