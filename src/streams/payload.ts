/** What a payload may be. A Blob goes out of a browser without entering the page's memory. */
export type Payload = Uint8Array | Blob;

/** The payload's length in bytes. */
export function byteLength(payload: Payload): number {
  return payload instanceof Uint8Array ? payload.byteLength : payload.size;
}

/**
 * The payload's bytes. A Uint8Array is returned as it is, not copied.
 * @throws what `Blob.arrayBuffer()` throws when the file behind the Blob was changed or removed
 */
export function bytesOf(payload: Payload): Uint8Array | Promise<Uint8Array> {
  return payload instanceof Uint8Array
    ? payload
    : payload.arrayBuffer().then((buffer) => new Uint8Array(buffer));
}

/** Joins chunks to one Uint8Array. A single chunk is returned as it is, not copied. */
export function concat(chunks: readonly Uint8Array[], total?: number): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  const joined = new Uint8Array(total ?? chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.byteLength;
  }
  return joined;
}
