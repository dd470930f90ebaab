/** The other side of a conversation, in hex: says and expects bytes, to the last one. */
import * as assert from "uvu/assert";
import { ByteQueue } from "../../src/streams/byte-queue.ts";
import type { Transport } from "../../src/streams/duplex.ts";
import { hex, settled, toHex } from "../bytes.ts";
import { within } from "../harness.ts";

export class Peer {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #queue = new ByteQueue();
  #reading: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;
  #ended = false;

  constructor({ readable, writable }: Pick<Transport, "readable" | "writable">) {
    this.#reader = readable.getReader();
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => {});
  }

  /** Says bytes, all in one chunk or in chunks of `size`. */
  async say(bytes: string | Uint8Array, size = Number.POSITIVE_INFINITY): Promise<void> {
    const all = typeof bytes === "string" ? hex(bytes) : bytes;
    for (let at = 0; at < all.byteLength; at += size) {
      this.#writer.write(all.slice(at, at + size)).catch(() => {});
    }
  }

  /** Ends what this side says. */
  async hangUp(): Promise<void> {
    await this.#writer.close().catch(() => {});
  }

  async #more(): Promise<boolean> {
    this.#reading ??= this.#reader.read();
    const { done, value } = await this.#reading;
    this.#reading = undefined;
    if (done) this.#ended = true;
    else this.#queue.push(value);
    return !done;
  }

  /** The next bytes that the other side says. */
  async take(length: number): Promise<Uint8Array> {
    while (this.#queue.length < length) {
      if (!(await within(5000, `${length} bytes`, this.#more()))) {
        throw new Error(`it ended after ${this.#queue.length} of ${length} bytes`);
      }
    }
    return this.#queue.take(length);
  }

  /** Fails unless the other side says exactly these bytes next. */
  async expect(bytes: string): Promise<void> {
    const expected = toHex(hex(bytes));
    assert.is(toHex(await this.take(expected.length / 2)), expected);
  }

  /** Fails unless the other side ends now, having said nothing more. */
  async expectEnd(): Promise<void> {
    while (!this.#ended && (await within(5000, "the end", this.#more())));
    assert.is(toHex(this.#queue.take(this.#queue.length)), "", "it said more before its end");
  }

  /** Fails if the other side says something more, or ends, as far as that needs no outside world. */
  async expectSilence(): Promise<void> {
    let spoke = false;
    if (!this.#reading) this.#reading = this.#reader.read();
    const done = () => {
      spoke = true;
    };
    this.#reading.then(done, done);
    await settled();
    assert.not.ok(spoke || this.#queue.length > 0, "it said something, or ended");
  }
}
