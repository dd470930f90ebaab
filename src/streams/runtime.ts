/**
 * The stream constructors that everything here is made with, chosen once: the runtime's own where it has all
 * that is used of them, else both from web-streams-polyfill. Never a mixture, as native and polyfilled streams
 * do not pipe into each other.
 */
import * as polyfill from "web-streams-polyfill";

const complete =
  typeof globalThis.ReadableStream?.prototype?.pipeTo === "function" &&
  typeof globalThis.WritableStream === "function" &&
  "signal" in (globalThis.WritableStreamDefaultController?.prototype ?? {});

const source = complete ? globalThis : (polyfill as unknown as typeof globalThis);

export const ReadableStream: typeof globalThis.ReadableStream = source.ReadableStream;
export type ReadableStream<T> = globalThis.ReadableStream<T>;

export const WritableStream: typeof globalThis.WritableStream = source.WritableStream;
export type WritableStream<T> = globalThis.WritableStream<T>;
