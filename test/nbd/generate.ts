/** Valid conversations, generated: what a client may say to our server. A new option or command is an entry here. */
import * as fc from "fast-check";
import { Command, CommandFlag, HandshakeFlag, Info, Option } from "../../src/nbd/constants.ts";
import { ClientFlags, OptionRequest, Request } from "../../src/nbd/messages.ts";
import { concat } from "../../src/streams/concat.ts";
import { sequence } from "../bytes.ts";

/** The size of the export that the conversations are about, and its name. */
export const SIZE = 1 << 14;
export const NAME = "disk.img";

const number = (value: number, size: 2 | 4) => {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (value >>> (8 * (size - 1 - i))) & 0xff;
  return bytes;
};
const text = (words: string) => new TextEncoder().encode(words);
const option = (type: number, data: Uint8Array = new Uint8Array(0)) =>
  concat([OptionRequest.encode({ option: type, length: data.byteLength }), data]);

/** The data of INFO and GO. */
const informed = (name: string, wanted: readonly number[]) =>
  concat([
    number(text(name).byteLength, 4),
    text(name),
    number(wanted.length, 2),
    ...wanted.map((type) => number(type, 2)),
  ]);

const offered = fc.constantFrom("", NAME);
const anyName = fc.oneof(offered, fc.string({ maxLength: 300, unit: "binary" }));
const wanted = fc.array(fc.constantFrom(...Object.values(Info), 0x7777), { maxLength: 4 });

/** Options after which haggling goes on, whatever they are answered. */
const haggling: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.constant(option(Option.LIST)),
  fc.constant(option(Option.STRUCTURED_REPLY)),
  fc.constant(option(Option.STARTTLS)),
  fc.tuple(anyName, wanted).map(([name, types]) => option(Option.INFO, informed(name, types))),
  fc.string({ minLength: 1, maxLength: 20 }).map((name) => option(Option.GO, informed(`no ${name}`, []))),
  fc
    .tuple(fc.integer({ min: 12, max: 0xffffffff }), fc.uint8Array({ maxLength: 5000 }))
    .map(([type, data]) => option(type, data)),
);

/** The option that leads to the transmission phase. */
const choosing: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.tuple(offered, wanted).map(([name, types]) => option(Option.GO, informed(name, types))),
  offered.map((name) => option(Option.EXPORT_NAME, text(name))),
);

const range = fc
  .tuple(fc.nat(SIZE), fc.nat(2000))
  .map(([offset, length]) => ({ offset, length: Math.min(length, SIZE - offset) }));
const fua = fc.constantFrom(0, CommandFlag.FUA);

interface Asked {
  type: number;
  flags: number;
  offset: number;
  length: number;
}

/** One entry a command; those that our server does not advertise are answered with an errno. */
const request: fc.Arbitrary<Asked> = fc.oneof(
  fc.record({ type: fc.constant(Command.READ), flags: fc.constantFrom(0, CommandFlag.DF) }).chain(ranged),
  fc.record({ type: fc.constant(Command.WRITE), flags: fua }).chain(ranged),
  fc
    .record({ type: fc.constant(Command.FLUSH), flags: fc.constant(0) })
    .map((asked) => ({ ...asked, offset: 0, length: 0 })),
  fc.record({ type: fc.constant(Command.TRIM), flags: fua }).chain(ranged),
  fc.record({ type: fc.constant(Command.CACHE), flags: fc.constant(0) }).chain(ranged),
  fc
    .record({
      type: fc.constant(Command.WRITE_ZEROES),
      flags: fc.constantFrom(0, CommandFlag.FUA, CommandFlag.NO_HOLE, CommandFlag.FAST_ZERO),
    })
    .chain(ranged),
  fc
    .record({ type: fc.constant(Command.BLOCK_STATUS), flags: fc.constantFrom(0, CommandFlag.REQ_ONE) })
    .chain(ranged),
);

function ranged(asked: { type: number; flags: number }): fc.Arbitrary<Asked> {
  return range.map((where) => ({ ...asked, ...where }));
}

/** The client's messages of the transmission phase: requests, and perhaps DISC. */
export const requestMessages: fc.Arbitrary<Uint8Array[]> = fc
  .record({ requests: fc.array(request, { maxLength: 8 }), disconnects: fc.boolean() })
  .map(({ requests, disconnects }) => [
    ...requests.map((asked, i) =>
      concat([
        Request.encode({ ...asked, cookie: BigInt(i) << 32n }),
        asked.type === Command.WRITE ? sequence(asked.length) : new Uint8Array(0),
      ]),
    ),
    ...(disconnects
      ? [Request.encode({ type: Command.DISC, flags: 0, cookie: 99n, offset: 0, length: 0 })]
      : []),
  ]);

/** The client's messages of a whole session: flags, options, the choice, requests, and perhaps DISC. */
export const clientMessages: fc.Arbitrary<Uint8Array[]> = fc
  .record({
    flags: fc.constantFrom(
      HandshakeFlag.FIXED_NEWSTYLE,
      HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES,
    ),
    options: fc.array(haggling, { maxLength: 4 }),
    choice: choosing,
    requests: requestMessages,
  })
  .map(({ flags, options, choice, requests }) => [
    ClientFlags.encode({ flags }),
    ...options,
    choice,
    ...requests,
  ]);

/** How bytes are cut: the sizes of the chunks, over and over. */
export const cuts: fc.Arbitrary<number[]> = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1, max: 5000 }),
  ),
  { minLength: 1, maxLength: 12 },
);

/** Cuts bytes in chunks of these sizes, each an array of its own. */
export function cutBy(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.byteLength; i++) {
    const end = at + sizes[i % sizes.length]!;
    chunks.push(bytes.slice(at, end));
    at = end;
  }
  return chunks;
}

/** Something that happens to one byte of a conversation, or to all from there on. */
export const damages: Readonly<Record<string, (bytes: Uint8Array, at: number) => Uint8Array>> = {
  "flipped in all bits": (bytes, at) => flipped(bytes, at, 0xff),
  "flipped in its first bit": (bytes, at) => flipped(bytes, at, 0x80),
  "flipped in its last bit": (bytes, at) => flipped(bytes, at, 0x01),
  dropped: (bytes, at) => concat([bytes.subarray(0, at), bytes.subarray(at + 1)]),
  doubled: (bytes, at) => concat([bytes.subarray(0, at + 1), bytes.subarray(at)]),
  "the end": (bytes, at) => bytes.slice(0, at),
};

function flipped(bytes: Uint8Array, at: number, mask: number): Uint8Array {
  const copy = bytes.slice();
  copy[at]! ^= mask;
  return copy;
}
