/** How a fuzzer's input is read. Its first byte says how the rest, which is what the peer says, is used. */

/** Which of the setups of the target; where it has two, the odd ones are the second. */
export const VARIANTS = [0, 1, 2, 3] as const;
export type Variant = (typeof VARIANTS)[number];

export interface Input {
  variant: Variant;
  /** What the peer says. No chunk shares memory with another. */
  chunks: Uint8Array[];
}

export function readInput(input: Uint8Array): Input {
  const [how = 0] = input;
  // Not input.slice(), which for a Buffer is a view.
  const bytes = new Uint8Array(input.subarray(1));
  // 0: all at once; 1: a byte at a time.
  const size = how >> 2 || bytes.byteLength;
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; at += size) chunks.push(bytes.slice(at, at + size));
  return { variant: (how & 3) as Variant, chunks };
}

/** The input that is read as these bytes, in chunks of `size`, at most 63 (0: all at once). */
export function writeInput(bytes: Uint8Array, variant: Variant = 0, size = 0): Uint8Array {
  const input = new Uint8Array(1 + bytes.byteLength);
  input[0] = (size << 2) | variant;
  input.set(bytes, 1);
  return input;
}
