import type { Filter } from "../export.ts";
import { forward } from "./forward.ts";

/**
 * A filter that does something around each change: a write, a trim, a range of zeroes.
 * @param around is given what makes the change, and its range in bytes
 */
export function aroundChanges(
  around: (make: () => Promise<void>, offset: number, length: number) => Promise<void>,
): Filter {
  return (next) => {
    const { write, trim, writeZeroes, ...passedOn } = forward(next);
    return {
      ...passedOn,
      ...(write && {
        write: (offset, data, options) => around(() => write(offset, data, options), offset, data.byteLength),
      }),
      ...(trim && {
        trim: (offset, length, options) => around(() => trim(offset, length, options), offset, length),
      }),
      ...(writeZeroes && {
        writeZeroes: (offset, length, options) =>
          around(() => writeZeroes(offset, length, options), offset, length),
      }),
    };
  };
}
