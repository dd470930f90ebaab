import { createRequire } from "node:module";

type Unmask = (bytes: Uint8Array, key: Uint8Array) => void;

/** Fewer bytes than this are unmasked faster in JavaScript than by a call of native code. */
const SHORT = 32;

/** The function of the optional package bufferutil (test/bench/README.md, "Unmask"). */
const native = load();

function load(): Unmask | undefined {
  try {
    return (createRequire(import.meta.url)("bufferutil") as { unmask: Unmask }).unmask;
  } catch {
    return undefined;
  }
}

/** Unmasks, in place, what a WebSocket client sent; `key` has 4 bytes (RFC 6455, section 5.3). */
export function unmask(bytes: Uint8Array, key: Uint8Array): void {
  if (native && bytes.byteLength >= SHORT) native(bytes, key);
  else unmaskByWords(bytes, key);
}

/** The same in JavaScript, four bytes at a time. */
export function unmaskByWords(bytes: Uint8Array, key: Uint8Array): void {
  const { buffer, byteOffset, byteLength } = bytes;
  const byByte = (from: number, to: number) => {
    for (let i = from; i < to; i++) bytes[i]! ^= key[i & 3]!;
  };
  const start = -byteOffset & 3;
  if (byteLength < start) {
    byByte(0, byteLength);
    return;
  }
  const words = new Uint32Array(buffer, byteOffset + start, (byteLength - start) >> 2);
  const [word] = new Uint32Array(Uint8Array.from(key, (_, i) => key[(i + start) & 3]!).buffer);
  byByte(0, start);
  for (let i = 0; i < words.length; i++) words[i]! ^= word!;
  byByte(start + words.byteLength, byteLength);
}
