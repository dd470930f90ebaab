import type { Negotiated } from "../transmission.ts";

/** Whether a request lies within the export. */
export function isInside(
  { offset, length }: { offset: number; length: number },
  { size }: Negotiated,
): boolean {
  return offset + length <= size;
}

/** Whether offset and length are multiples of the minimum block size. */
export function isAligned(
  { offset, length }: { offset: number; length: number },
  { blockSize }: Negotiated,
): boolean {
  const minimum = blockSize?.minimum ?? 1;
  return offset % minimum === 0 && length % minimum === 0;
}
