import type { Export, RangeOptions, WriteOptions, WriteZeroesOptions } from "../export.ts";

/** Makes a part of a change again, from one offset up to another. */
export type MakeAgain = (target: Export, start: number, end: number) => Promise<void>;

/** Something that was asked for and changes an export. It can be made more than once. */
export interface Change {
  readonly start: number;
  readonly end: number;
  /** The bytes that it carries. */
  readonly bytes: number;
  readonly options: (WriteOptions & WriteZeroesOptions) | undefined;
  make(target: Export): Promise<void>;
  /** Keeps what it takes to make it again after it was answered, when its data is the caller's again. */
  keep(): MakeAgain;
}

export function write(offset: number, data: Uint8Array, options: WriteOptions | undefined): Change {
  const { byteLength } = data;
  return {
    start: offset,
    end: offset + byteLength,
    bytes: byteLength,
    options,
    make: (target) => target.write!(offset, data, options),
    keep() {
      // Not slice(), which makes no copy of a Buffer.
      const copy = new Uint8Array(data);
      return (target, start, end) => target.write!(start, copy.subarray(start - offset, end - offset));
    },
  };
}

export function trim(offset: number, length: number, options: RangeOptions | undefined): Change {
  return {
    start: offset,
    end: offset + length,
    bytes: 0,
    options,
    make: (target) => target.trim!(offset, length, options),
    keep: () => (target, start, end) => target.trim!(start, end - start),
  };
}

export function writeZeroes(offset: number, length: number, options: WriteZeroesOptions | undefined): Change {
  const noHole = options?.noHole ?? false;
  return {
    start: offset,
    end: offset + length,
    bytes: 0,
    options,
    make: (target) => target.writeZeroes!(offset, length, options),
    keep: () => (target, start, end) => target.writeZeroes!(start, end - start, { noHole }),
  };
}
