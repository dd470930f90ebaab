import type { Parser } from "../streams/parse.ts";
import { ProtocolError } from "./error.ts";

/** One field of a message: big-endian, of a fixed size in bytes. */
export interface Field<T> {
  readonly size: number;
  get(view: DataView, at: number): T;
  set(view: DataView, at: number, value: T): void;
}

/** A field that has always the same value: written by itself, checked when read, no part of the message. */
export interface Constant extends Field<number | bigint> {
  readonly constant: number | bigint;
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

/** 64 bits that are passed through and compared, never computed with: cookies, magics. */
export const u64: Field<bigint> = {
  size: 8,
  get: (view, at) => view.getBigUint64(at),
  set: (view, at, value) => view.setBigUint64(at, value),
};

/**
 * A number of bytes in 64 bits. Beyond 2^53 the number is not exact but still beyond 2^53, so a comparison
 * with the size of an export gives the right answer.
 */
export const byteCount: Field<number> = {
  size: 8,
  get: (view, at) => view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4),
  set(view, at, value) {
    view.setUint32(at, Math.floor(value / 0x1_0000_0000));
    view.setUint32(at + 4, value % 0x1_0000_0000);
  },
};

/** A field that always has this value. */
export function constant(field: Field<number> | Field<bigint>, value: number | bigint): Constant {
  return { ...(field as Field<number | bigint>), constant: value };
}

type Fields = Readonly<Record<string, Field<number> | Field<bigint> | Constant>>;

type ValueOf<F> = {
  -readonly [K in keyof F as F[K] extends Constant ? never : K]: F[K] extends Field<infer T> ? T : never;
};

/** The fixed part of a message, declared once: how long it is, how it is read and how it is written. */
export interface Struct<T> {
  /** Length in bytes. */
  readonly size: number;
  /**
   * Reads the fields from the first `size` bytes.
   * @throws ProtocolError when a constant field has another value
   */
  decode(bytes: Uint8Array): T;
  /** Writes the fields into `into` at `at`, by default into a new array. */
  encode(value: T, into?: Uint8Array, at?: number): Uint8Array;
  /** The same as `decode`, as a parser. */
  parser(): Parser<T>;
}

/** The type of a struct's value: `type Request = StructValue<typeof Request>`. */
export type StructValue<S> = S extends Struct<infer T> ? T : never;

/** Declares the fixed part of a message. `name` is what error messages call it. */
export function struct<F extends Fields>(name: string, fields: F): Struct<ValueOf<F>> {
  type Value = ValueOf<F>;
  const entries = Object.entries(fields) as [string, Field<number | bigint> & Partial<Constant>][];
  const size = entries.reduce((sum, [, field]) => sum + field.size, 0);

  function decode(bytes: Uint8Array): Value {
    const view = new DataView(bytes.buffer, bytes.byteOffset, size);
    const value: Record<string, number | bigint> = {};
    let at = 0;
    for (const [key, field] of entries) {
      const read = field.get(view, at);
      at += field.size;
      if (field.constant === undefined) value[key] = read;
      else if (read !== field.constant) {
        throw new ProtocolError(
          `a ${name} began with 0x${read.toString(16)} where its ${key} 0x${field.constant.toString(16)} was expected`,
        );
      }
    }
    return value as Value;
  }

  function encode(value: Value, into = new Uint8Array(size), at = 0): Uint8Array {
    const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
    for (const [key, field] of entries) {
      field.set(view, at, field.constant ?? (value as Record<string, number | bigint>)[key]!);
      at += field.size;
    }
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
