/** How a fuzzer's input is read. Its first byte says how the rest, which is what the peer says, is used. */

export interface Input {
  /** Which of the two setups of the target. */
  variant: 0 | 1;
  /** What the peer says. No chunk shares memory with another. */
  chunks: Uint8Array[];
}

export function readInput(input: Uint8Array): Input {
  const [how = 0] = input;
  // Not input.slice(), which for a Buffer is a view.
  const bytes = new Uint8Array(input.subarray(1));
  // 0: all at once; 1: a byte at a time.
  const size = how >> 1 || bytes.byteLength;
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; at += size) chunks.push(bytes.slice(at, at + size));
  return { variant: (how & 1) as 0 | 1, chunks };
}

/** The input that is read as these bytes, in chunks of `size` (0: all at once). */
export function writeInput(bytes: Uint8Array, variant: 0 | 1 = 0, size = 0): Uint8Array {
  const input = new Uint8Array(1 + bytes.byteLength);
  input[0] = (size << 1) | variant;
  input.set(bytes, 1);
  return input;
}
