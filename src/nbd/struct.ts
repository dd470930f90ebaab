import type { Parser } from "../streams/parse.ts";
import { ProtocolError } from "./error.ts";

/** One field of a message: big-endian, of a fixed size, in bytes. */
export interface Field<T> {
  readonly size: number;
  get(view: DataView, at: number): T;
  set(view: DataView, at: number, value: T): void;
}

export const u16: Field<number> = {
  size: 2,
  get: (view, at) => view.getUint16(at),
  set: (view, at, value) => view.setUint16(at, value),
};

export const u32: Field<number> = {
  size: 4,
  get: (view, at) => view.getUint32(at),
  set: (view, at, value) => view.setUint32(at, value),
};

/** 64 bits that are copied and compared only: cookies, magics. */
export const u64: Field<bigint> = {
  size: 8,
  get: (view, at) => view.getBigUint64(at),
  set: (view, at, value) => view.setBigUint64(at, value),
};

/**
 * A number of bytes in 64 bits. Beyond 2^53 it is not exact, but still beyond 2^53, so comparisons with the size of an export
 * are right.
 */
export const byteCount: Field<number> = {
  size: 8,
  get: (view, at) => view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4),
  set(view, at, value) {
    view.setUint32(at, Math.floor(value / 0x1_0000_0000));
    view.setUint32(at + 4, value);
  },
};

/** A constant at the beginning of a message. It is written and checked, but not part of the value. */
export interface Magic {
  readonly field: Field<unknown>;
  readonly value: number | bigint;
}

export function magic<T extends number | bigint>(field: Field<T>, value: T): Magic {
  return { field: field as Field<unknown>, value };
}

/** Reads the next field of a message. */
export type NextField = <T>(field: Field<T>) => T;

/** The fixed part of a message: its length, its decoder and its encoder. */
export interface Struct<T> {
  /** Length in bytes. */
  readonly size: number;
  /**
   * Reads the fields from the first `size` bytes.
   * @throws ProtocolError if the magic is another one
   */
  decode(bytes: Uint8Array): T;
  /** Writes the fields into `into` at `at`, by default into a new array. */
  encode(value: T, into?: Uint8Array, at?: number): Uint8Array;
  /** `decode` as a parser. */
  parser(): Parser<T>;
}

/** The type of a struct's value: `type Request = StructValue<typeof Request>`. */
export type StructValue<S> = S extends Struct<infer T> ? T : never;

/**
 * Messages are copied here to be read and written: a DataView for each of them would be slow. All messages can share it, since
 * `declare` runs without interruption.
 */
const scratch = new Uint8Array(64);
const view = new DataView(scratch.buffer);

/**
 * Declares the fixed part of a message: its fields in the order on the wire.
 *
 *     struct("simple reply", (field) => ({ error: field(u32), cookie: field(u64) }), magic(u32, 0x67446698))
 *
 * The declaration is a function, which runs for each message that is read: that is faster than a table of fields.
 *
 * @param name the name of the message, for errors
 * @param declare must be synchronous, and call `field` for all fields in the same order each time
 * @param begin the magic with which the message begins, if any
 */
export function struct<T extends object>(
  name: string,
  declare: (field: NextField) => T,
  begin?: Magic,
): Struct<T> {
  const fields: Field<unknown>[] = [];
  const keys = Object.keys(
    declare(<F>(field: Field<F>) => {
      fields.push(field as Field<unknown>);
      return undefined as F;
    }),
  ) as (keyof T)[];
  const article = /^[aeiou]/i.test(name) ? "an" : "a";
  const first = begin?.field.size ?? 0;
  const size = fields.reduce((sum, field) => sum + field.size, first);

  if (size > scratch.byteLength)
    throw new RangeError(`${article} ${name} has more than ${scratch.byteLength} bytes`);

  let position = 0;
  function next<F>(field: Field<F>): F {
    const value = field.get(view, position);
    position += field.size;
    return value;
  }

  function decode(bytes: Uint8Array): T {
    if (bytes.byteLength < size)
      throw new RangeError(`${article} ${name} has ${size} bytes, not ${bytes.byteLength}`);
    for (let i = 0; i < size; i++) scratch[i] = bytes[i]!;
    position = 0;
    if (begin) {
      const found = next(begin.field) as number | bigint;
      if (found !== begin.value) {
        const [is, expected] = [found, begin.value].map((number) => `0x${number.toString(16)}`);
        throw new ProtocolError(`${article} ${name} began with ${is} where ${expected} was expected`);
      }
    }
    return declare(next);
  }

  function encode(value: T, into = new Uint8Array(size), at = 0): Uint8Array {
    if (into.byteLength < at + size) throw new RangeError(`there is no room for ${article} ${name}`);
    begin?.field.set(view, 0, begin.value);
    let to = first;
    for (let i = 0; i < fields.length; i++) {
      fields[i]!.set(view, to, value[keys[i]!]);
      to += fields[i]!.size;
    }
    for (let i = 0; i < size; i++) into[at + i] = scratch[i]!;
    return into;
  }

  return {
    size,
    decode,
    encode,
    *parser() {
      return decode(yield size);
    },
  };
}
