/** One attribute of a netlink message (netlink(7)): its type, and how its value is written and read. */
export interface Attribute<T> {
  readonly type: number;
  encode(value: T): Uint8Array;
  decode(payload: Uint8Array): T;
}

/** The attributes of a message by name. */
export type Attributes = Readonly<Record<string, Attribute<unknown>>>;

/** The values of some of these attributes. */
export type AttributeValues<A extends Attributes> = {
  -readonly [K in keyof A]?: A[K] extends Attribute<infer T> ? T : never;
};

/** Set in the type of an attribute that holds others. */
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const HEADER = 4;
const ALIGNMENT = 4;

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);

/** Netlink speaks in the byte order of the machine, as typed arrays do. A copy, since they want aligned bytes. */
const copied = (payload: Uint8Array) => payload.slice().buffer;

export const u16 = (type: number): Attribute<number> => ({
  type,
  encode: (value) => bytesOf(new Uint16Array([value])),
  decode: (payload) => new Uint16Array(copied(payload))[0]!,
});

export const u32 = (type: number): Attribute<number> => ({
  type,
  encode: (value) => bytesOf(new Uint32Array([value])),
  decode: (payload) => new Uint32Array(copied(payload))[0]!,
});

/** 64 bits of which a number holds the lower 53. */
export const u64 = (type: number): Attribute<number> => ({
  type,
  encode: (value) => bytesOf(new BigUint64Array([BigInt(value)])),
  decode: (payload) => Number(new BigUint64Array(copied(payload))[0]),
});

/** Text that ends with a zero byte. */
export const text = (type: number): Attribute<string> => ({
  type,
  encode: (value) => new TextEncoder().encode(`${value}\0`),
  decode: (payload) => new TextDecoder().decode(payload).replace(/\0$/, ""),
});

/** An attribute that holds others. */
export const nested = <A extends Attributes>(type: number, inner: A): Attribute<AttributeValues<A>> => ({
  type: type | NLA_F_NESTED,
  encode: (values) => encodeAttributes(inner, values),
  decode: (payload) => decodeAttributes(inner, payload),
});

/** An attribute that holds any number of attributes of one kind. */
export const list = <T>(type: number, item: Attribute<T>): Attribute<T[]> => ({
  type: type | NLA_F_NESTED,
  encode: (values) => joined(values.map((value) => encodeOne(item, value))),
  decode: (payload) => [...each(payload)].map(({ value }) => item.decode(value)),
});

/** Writes attributes behind each other, in the order in which they are declared. */
export function encodeAttributes<A extends Attributes>(
  attributes: A,
  values: AttributeValues<A>,
): Uint8Array {
  const named = values as Readonly<Record<string, unknown>>;
  return joined(
    Object.keys(attributes)
      .filter((name) => named[name] !== undefined)
      .map((name) => encodeOne(attributes[name]!, named[name])),
  );
}

/** Reads those attributes that are declared. What is cut off or unknown is left out. */
export function decodeAttributes<A extends Attributes>(
  attributes: A,
  payload: Uint8Array,
): AttributeValues<A> {
  const values: Record<string, unknown> = {};
  for (const { type, value } of each(payload)) {
    for (const [name, attribute] of Object.entries(attributes)) {
      if ((attribute.type & NLA_TYPE_MASK) === type) values[name] = attribute.decode(value);
    }
  }
  return values as AttributeValues<A>;
}

function encodeOne<T>({ type, encode }: Attribute<T>, value: T): Uint8Array {
  const payload = encode(value);
  const bytes = new Uint8Array(aligned(HEADER + payload.byteLength));
  bytes.set(bytesOf(new Uint16Array([HEADER + payload.byteLength, type])));
  bytes.set(payload, HEADER);
  return bytes;
}

function* each(bytes: Uint8Array): Generator<{ type: number; value: Uint8Array }> {
  for (let at = 0; at + HEADER <= bytes.byteLength; ) {
    const [length = 0, type = 0] = new Uint16Array(copied(bytes.subarray(at, at + HEADER)));
    if (length < HEADER || at + length > bytes.byteLength) return;
    yield { type: type & NLA_TYPE_MASK, value: bytes.subarray(at + HEADER, at + length) };
    at += aligned(length);
  }
}

const aligned = (length: number) => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

const joined = (parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
