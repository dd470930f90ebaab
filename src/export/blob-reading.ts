import type { ReusedMemory } from "../streams/reused-memory.ts";
import { unlessAborted } from "../streams/unless-aborted.ts";

/**
 * All readings with a read under way. If only the code that waits for a read refers to the stream, Chromium collects both, and
 * the read never settles.
 */
const live = new Set<BlobReading>();

/** A stream of a Blob's bytes: each read goes on where the one before ended, into a given buffer. */
export class BlobReading {
  /** The offset of its first read. */
  readonly start: number;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #end: number;
  #position: number;
  #previous: Promise<void> = Promise.resolve();
  #isOver = false;
  /** How many reads are under way. */
  #reads = 0;

  private constructor(reader: ReadableStreamBYOBReader, from: number, to: number) {
    this.#reader = reader;
    this.start = from;
    this.#position = from;
    this.#end = to;
  }

  /** Begins to read a part of a Blob. Undefined if this runtime's Blobs cannot read into a given buffer. */
  static of(blob: Blob, from: number, to: number): BlobReading | undefined {
    const stream = blob.slice(from, to).stream();
    try {
      return new BlobReading(stream.getReader({ mode: "byob" }), from, to);
    } catch {
      // The stream has begun to read the file nevertheless.
      stream.cancel().catch(() => {});
      return undefined;
    }
  }

  /** The offset of the next read. */
  get position(): number {
    return this.#position;
  }

  /** Whether nothing more comes: all was read, or a read has failed or was cancelled. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * The next bytes: none if the file has become shorter; undefined if a read before this one has failed or was cancelled.
   * @throws what reading the file throws, or the signal's reason
   */
  async read(length: number, memory: ReusedMemory, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    this.#position += length;
    const isLast = this.#position >= this.#end;
    live.add(this);
    this.#reads++;
    const reading = this.#previous.then(() => this.#readNow(length, memory, signal));
    const over = (isOver: boolean) => {
      if (--this.#reads === 0) live.delete(this);
      if (isOver) this.cancel();
    };
    this.#previous = reading.then(
      () => over(isLast),
      () => over(true),
    );
    return unlessAborted(reading, signal);
  }

  async #readNow(
    length: number,
    memory: ReusedMemory,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    signal?.throwIfAborted();
    if (this.#isOver) return undefined;
    const giveUp = () => this.cancel(signal?.reason);
    signal?.addEventListener("abort", giveUp);
    try {
      let buffer = memory.take(length);
      let at = 0;
      while (at < length) {
        const { value } = await this.#reader.read(new Uint8Array(buffer, at));
        signal?.throwIfAborted();
        if (!value?.byteLength) {
          if (this.#isOver) return undefined;
          this.cancel();
          return new Uint8Array(0);
        }
        buffer = value.buffer;
        at += value.byteLength;
      }
      return memory.lend(buffer);
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Ends it after the reads under way. */
  end(): void {
    this.#previous = this.#previous.then(() => this.cancel());
  }

  /** Ends it at once. */
  cancel(reason?: unknown): void {
    this.#isOver = true;
    this.#reader.cancel(reason).catch(() => {});
  }
}
