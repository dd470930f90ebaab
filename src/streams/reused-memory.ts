import { lend } from "./lent.ts";

/** Memory for what is read, used again once it has been given back: new memory costs as much as filling it. */
export class ReusedMemory {
  readonly #limit: number;
  readonly #spare: ArrayBuffer[] = [];
  #bytes = 0;

  /** @param limit bytes that are kept while nobody has use of them */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Memory of that length, with whatever was in it. */
  take(length: number): ArrayBuffer {
    const i = this.#spare.findIndex(({ byteLength }) => byteLength === length);
    if (i < 0) return new ArrayBuffer(length);
    this.#bytes -= length;
    return this.#spare.splice(i, 1)[0]!;
  }

  /** Hands out memory that was taken, its first `length` bytes. It comes back, or is the garbage collector's. */
  lend(buffer: ArrayBuffer, length = buffer.byteLength): Uint8Array {
    return lend(new Uint8Array(buffer, 0, length), () => {
      this.#spare.push(buffer);
      this.#bytes += buffer.byteLength;
      while (this.#bytes > this.#limit) this.#bytes -= this.#spare.shift()!.byteLength;
    });
  }
}
