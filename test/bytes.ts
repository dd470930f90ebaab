/** What tests of streams and of bytes need: literals, streams from and to arrays, and promises looked at. */
import * as assert from "uvu/assert";
import { concat } from "../src/streams/concat.ts";

/** The bytes of a hex literal. White space, and comments from "#" to the end of the line, are for the reader. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replace(/#.*/g, "").replace(/\s+/g, "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`no hex literal: ${text}`);
  return new Uint8Array(Buffer.from(digits, "hex"));
}

export const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** The bytes of a string, as hex. */
export const ascii = (text: string) => Buffer.from(text).toString("hex");

/** Bytes that count up, so that one that is missing or twice there is seen. */
export function sequence(length: number, from = 0): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => ((from + i) * 167 + ((from + i) >> 8)) & 0xff);
}

/** Cuts bytes in chunks of a size, each an array of its own. */
export function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; at += size) chunks.push(bytes.slice(at, at + size));
  return chunks;
}

/** A stream of these chunks, which then ends, fails, or (`"open"`) does neither. */
export function source<T>(chunks: Iterable<T>, end: "open" | { error: unknown } | undefined = undefined) {
  const iterator = chunks[Symbol.iterator]();
  return new ReadableStream<T>(
    {
      pull(controller) {
        const next = iterator.next();
        if (!next.done) return controller.enqueue(next.value);
        if (end === "open") return new Promise<void>(() => {});
        if (end) controller.error(end.error);
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

/** All chunks of a stream, to its end. */
export async function collect<T>(readable: ReadableStream<T>, into: T[] = []): Promise<T[]> {
  const reader = readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return into;
    into.push(value);
  }
}

/** All bytes of a stream, to its end. */
export async function collectBytes(readable: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks = await collect(readable);
  // Always one plain array: chunks may be Buffers, which compare as something else.
  return concat([...chunks, new Uint8Array(0)]);
}

/** Exactly the next `length` bytes, which may come in several chunks but not in one with others. */
export async function readBytes(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  length: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let had = 0;
  while (had < length) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the stream ended after ${had} of ${length} bytes`);
    const bytes = value;
    chunks.push(bytes);
    had += bytes.byteLength;
  }
  assert.is(had, length, "a chunk reaches beyond what was expected");
  return concat(chunks);
}

/** Lets everything happen that can happen without the outside world. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Whether a promise is still pending when everything has happened that can. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true;
  const done = () => {
    pending = false;
  };
  promise.then(done, done);
  await settled();
  return pending;
}

/** The reason with which a promise rejects; the test fails when it resolves. */
export async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (reason) {
    return reason as Error;
  }
  assert.unreachable("it did not fail");
  throw new Error("unreachable");
}
