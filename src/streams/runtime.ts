/**
 * The stream constructors that everything here is made with: the runtime's own where it has all that is used of them, else
 * both from the module "nbd-proxy/polyfill", which has to be imported first. They are never a mixture, since native and
 * polyfilled streams do not pipe into each other.
 */

type Streams = Pick<typeof globalThis, "ReadableStream" | "WritableStream">;

/** Where the polyfill leaves its constructors. The scripts of a page share the global object and nothing else. */
const PLACE = Symbol.for("nbd-proxy.streams");

const place = globalThis as { [PLACE]?: Streams };

/**
 * Whether the runtime has all that is used of streams. Chrome and Edge before 98, Firefox before 100 and Safari before 16.4
 * lack `WritableStreamDefaultController.signal`, and older ones more than that.
 */
export const hasStreams: boolean =
  typeof globalThis.ReadableStream?.prototype?.pipeTo === "function" &&
  typeof globalThis.WritableStream === "function" &&
  "signal" in (globalThis.WritableStreamDefaultController?.prototype ?? {});

/** Provides constructors for a runtime that lacks something; in any other it does nothing. */
export function provideStreams(streams: Streams): void {
  if (!hasStreams) place[PLACE] = streams;
}

/** A constructor that is looked up when it is used, as the polyfill may be loaded later than this module. */
function provided<Name extends keyof Streams>(name: Name): Streams[Name] {
  function construct(...options: unknown[]): object {
    const streams = place[PLACE];
    if (streams) return Reflect.construct(streams[name], options);
    throw new Error(
      'this runtime lacks a part of the Streams API: import "nbd-proxy/polyfill" first, or load polyfill.js',
    );
  }
  return construct as unknown as Streams[Name];
}

export const ReadableStream: typeof globalThis.ReadableStream = hasStreams
  ? globalThis.ReadableStream
  : provided("ReadableStream");
export type ReadableStream<T> = globalThis.ReadableStream<T>;

export const WritableStream: typeof globalThis.WritableStream = hasStreams
  ? globalThis.WritableStream
  : provided("WritableStream");
export type WritableStream<T> = globalThis.WritableStream<T>;
