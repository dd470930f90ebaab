interface BufferUtil {
  unmask(bytes: Uint8Array, key: Uint8Array): void;
}

/** What is shorter is quicker here than in a call of native code. */
const SHORT = 32;

/** The package bufferutil, which is optional: 11 µs for 256 KiB, where JavaScript takes 80 by words and 250 by bytes. */
const native: BufferUtil | undefined = await import("bufferutil" as string).then(
  (module) => module.default,
  () => undefined,
);

/** Takes the masking of a WebSocket client off what it sent, in place; `key` has 4 bytes (RFC 6455, section 5.3). */
export function unmask(bytes: Uint8Array, key: Uint8Array): void {
  if (native && bytes.byteLength >= SHORT) native.unmask(bytes, key);
  else for (let i = 0; i < bytes.byteLength; i++) bytes[i]! ^= key[i & 3]!;
}
