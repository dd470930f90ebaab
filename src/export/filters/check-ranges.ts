import { checkBytes, checkWhole } from "../../streams/check.ts";
import type { Export } from "../export.ts";
import { forward } from "./forward.ts";

/**
 * Refuses ranges that are not within the export: with a RangeError where a number is out of range, and with a TypeError where
 * something is not a number, or the data is not a Uint8Array. An export itself need not check that.
 */
export function checkRanges(next: Export): Export {
  const { size } = next;
  const { write, trim, writeZeroes, cache, extents, ...rest } = forward(next);

  /** What is wrong with a range, if anything is. */
  function faultOf(what: string, offset: number, length: number): Error | undefined {
    if (isWhole(offset) && isWhole(length) && offset + length <= size) return undefined;
    try {
      checkWhole(offset, `${what}: the offset`);
      checkWhole(length, `${what}: the length`);
      return new RangeError(
        `${what}: ${length} bytes at ${offset} are not within the export, which has ${size}`,
      );
    } catch (error) {
      return error as Error;
    }
  }

  /** A method that takes a range, checked. For a range that is right no promise is added. */
  function checked<Options, Result>(
    what: string,
    method: (offset: number, length: number, options?: Options) => Promise<Result>,
  ) {
    return (offset: number, length: number, options?: Options): Promise<Result> => {
      const fault = faultOf(what, offset, length);
      return fault ? Promise.reject(fault) : method(offset, length, options);
    };
  }

  return {
    ...rest,
    read: (offset, length, options) => {
      const fault = faultOf("read", offset, length);
      return fault ? Promise.reject(fault) : next.read(offset, length, options);
    },
    ...(write && {
      async write(offset, data, options) {
        checkBytes(data, "write: the data");
        const fault = faultOf("write", offset, data.byteLength);
        if (fault) throw fault;
        await write(offset, data, options);
      },
    }),
    ...(trim && { trim: checked("trim", trim) }),
    ...(writeZeroes && { writeZeroes: checked("writeZeroes", writeZeroes) }),
    ...(cache && { cache: checked("cache", cache) }),
    ...(extents && { extents: checked("extents", extents) }),
  };
}

const isWhole = (value: number) => Number.isSafeInteger(value) && value >= 0;
