import type { Cache } from "./cache.ts";

/** A range of what a cache keeps. */
export interface Sample {
  /** In bytes. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Bytes of a sample, at most. */
const SAMPLE = 4096;

/** Copies of ranges that a cache keeps, `most` of them at most: those that were used last. They change nothing. */
export function samplesOf(cache: Cache, most: number): Sample[] {
  return cache.latest(most).map(({ start, bytes }) => ({ offset: start, bytes: bytes!.slice(0, SAMPLE) }));
}
