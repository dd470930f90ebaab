import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { fromBase64url } from "../streams/base64url.ts";
import { checkMethods, checkType, checkWhole } from "../streams/check.ts";
import { concat } from "../streams/concat.ts";
import { giveBack } from "../streams/lent.ts";
import type { Export } from "./export.ts";

/** Bytes of a block; its offset is a multiple of it. */
const BLOCK = 4096;

/** How many blocks are sampled of an export that has more. */
const COUNT = 32;

/** Bytes of a sample. */
const SAMPLE = 8;

/**
 * Offsets at which two images differ: the boot sector and partition table, the first volume descriptor of ISO 9660, the file
 * system of a first partition at 1 MiB.
 */
const BEGINNINGS = [0, 1 << 15, 1 << 20];

/** A range of an export, in bytes. */
export interface SamplePlace {
  offset: number;
  length: number;
}

/**
 * The places where an export is sampled, in order: where images differ, its middle, its end, and places that nobody can know who
 * does not know the nonce. It follows from the size and the nonce, so that two can sample the same places.
 * @param size bytes of the export
 * @param nonce base64url
 * @throws TypeError, RangeError when the size is none, or the nonce not base64url
 */
export function samplePlaces(size: number, nonce: string): SamplePlace[] {
  checkWhole(size, "the size, in bytes,");
  const blocks = Math.ceil(size / BLOCK);
  const key = bytesOf(nonce);
  const chosen = new Set<number>();
  if (blocks <= COUNT) {
    for (let block = 0; block < blocks; block++) chosen.add(block);
  } else {
    const wanted = [...BEGINNINGS.map((offset) => offset / BLOCK), Math.floor(blocks / 2), blocks - 1];
    for (const block of wanted) if (block < blocks) chosen.add(block);
    for (let count = 0; chosen.size < COUNT; count++) {
      let block = numberOf(hmac(sha256, key, new TextEncoder().encode(`place ${count}`))) % blocks;
      while (chosen.has(block)) block = (block + 1) % blocks;
      chosen.add(block);
    }
  }
  const inOrder = [...chosen].sort((one, other) => one - other);
  return inOrder.map((block) => {
    const offset = block * BLOCK;
    return { offset, length: Math.min(BLOCK, size - offset) };
  });
}

/**
 * Samples an export: 8 bytes for each of its `samplePlaces`, the beginning of an HMAC-SHA256 of the bytes there. They tell an
 * export from another one, and nothing of its contents. A place that cannot be read has zeroes.
 * @param nonce the key of the HMAC, as base64url
 */
export async function sampled(target: Pick<Export, "read" | "size">, nonce: string): Promise<Uint8Array> {
  checkMethods(target, "what is sampled", "an Export", ["read"]);
  const key = bytesOf(nonce);
  const sample = async ({ offset, length }: SamplePlace) => {
    let bytes: Uint8Array;
    try {
      bytes = await target.read(offset, length, {});
    } catch {
      return new Uint8Array(SAMPLE);
    }
    const hash = hmac(sha256, key, bytes);
    giveBack(bytes);
    return hash.subarray(0, SAMPLE);
  };
  return concat(await Promise.all(samplePlaces(target.size, nonce).map(sample)));
}

function bytesOf(nonce: string): Uint8Array {
  checkType(nonce, "the nonce", "string");
  const bytes = fromBase64url(nonce);
  if (!bytes) throw new TypeError("the nonce must be base64url without padding");
  return bytes;
}

/** The first 6 bytes as a number. */
function numberOf(bytes: Uint8Array): number {
  return bytes.subarray(0, 6).reduce((number, byte) => number * 256 + byte, 0);
}
