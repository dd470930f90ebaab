import { isDeepStrictEqual } from "node:util";
import type { Export, Extent } from "../../../src/export/export.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { requestParser, transmission } from "../../../src/nbd/server/layers.ts";
import type { NbdRequest, Negotiated } from "../../../src/nbd/transmission.ts";
import { transmissionFlags } from "../../../src/nbd/transmission-flags.ts";
import { concat } from "../../../src/streams/concat.ts";
import { collect, source } from "../../bytes.ts";
import { ending, judge, serveBytes } from "../../nbd/hostile.ts";
import { readInput, type Variant } from "../input.ts";

const blockSize = { minimum: 512, preferred: 4096, maximum: 8192 };
const knownExtents = (_offset: number, length: number): Extent[] => [
  { length: length >> 1, hole: true, zero: true },
  { length: length - (length >> 1), hole: false, zero: false },
];
const extents = async (offset: number, length: number) => knownExtents(offset, length);

/** What is served, and how: read-only; writable with block sizes; writable with each kind of replies. */
const setups: Readonly<Record<Variant, (image: Uint8Array) => [Export, Partial<Negotiated>]>> = [
  (image) => [memoryExport(image, { readOnly: true }), {}],
  (image) => [{ ...memoryExport(image), blockSize }, { blockSize }],
  (image) => [
    { ...memoryExport(image), extents, knownExtents },
    { headers: "structured", allocation: 1 },
  ],
  (image) => [
    { ...memoryExport(image), extents, knownExtents },
    { headers: "extended", allocation: 1 },
  ],
];

/** The client's bytes of the transmission phase. */
export async function fuzz(input: Uint8Array): Promise<void> {
  const { variant, chunks } = readInput(input);
  const [target, settled] = setups[variant](new Uint8Array(1 << 14));
  const negotiated: Negotiated = {
    size: target.size,
    flags: transmissionFlags(target, settled),
    ...settled,
  };
  await serveBytes(transmission(target, negotiated), chunks);
  const [split, whole] = [await parsed(negotiated, chunks), await parsed(negotiated, [concat(chunks)])];
  if (!isDeepStrictEqual(split, whole)) {
    throw new Error("other requests where the bytes are split", { cause: { split, whole } });
  }
}

async function parsed(negotiated: Negotiated, chunks: Iterable<Uint8Array>) {
  const requests: NbdRequest[][] = [];
  const end = ending(
    "the request parser",
    collect(source(chunks).pipeThrough(requestParser(negotiated)), requests),
  );
  const error = await end.then(() => undefined, judge);
  return { requests: requests.flat(), error: error?.name };
}
