/** The most seconds that a timer can wait for. */
const MOST = 2_147_483;

/**
 * A number of whole seconds among the arguments.
 * @param option the option that has it as its value, such as "--retry"
 * @throws Error when it is none
 */
export function secondsArgument(text: string, option: string): number {
  const seconds = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (seconds <= MOST) return seconds;
  throw new Error(`${option} needs a whole number of seconds from 0 to ${MOST}, not "${text}"`);
}
