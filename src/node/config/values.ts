import * as v from "valibot";

/** The longest time that a timer can be set to, in whole seconds. */
export const LONGEST_TIME = Math.floor(0x7fffffff / 1000);

/** A whole number of something. */
export const whole = (least: number, most: number, unit: string) => {
  const message = `must be a whole number of ${unit} from ${least} to ${most}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(least, message), v.maxValue(most, message));
};

/** A number of seconds, which need not be whole. */
export const time = (least: number, most: number) => {
  const message = `must be a number of seconds from ${least} to ${most}`;
  return v.pipe(v.number(message), v.minValue(least, message), v.maxValue(most, message));
};

/** A time, or 0 for what is never done. */
export const timeOrNever = (least: number, most: number) => {
  const message = `must be 0, or a number of seconds from ${least} to ${most}`;
  const isOne = (input: number) => input === 0 || (input >= least && input <= most);
  return v.pipe(v.number(message), v.check(isOne, message));
};

export const yesOrNo = v.boolean("must be true or false");
