/** What a number among the arguments may be. */
export interface WholeRange {
  /** What is counted, such as "seconds". */
  readonly unit: string;
  readonly least: number;
  readonly most: number;
}

/**
 * A whole number among the arguments.
 * @param option the option that has it as its value, such as "--retry"
 * @throws Error when it is none, or out of range
 */
export function wholeArgument(text: string, option: string, { unit, least, most }: WholeRange): number {
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new Error(`${option} needs a whole number of ${unit} from ${least} to ${most}, not "${text}"`);
}
