import { giveBack, isLent, Loan } from "./lent.ts";
import { spareMemory } from "./reused-memory.ts";

const EMPTY = new Uint8Array(0);

/**
 * A chunk up to this many bytes is small, and where more than a few wait, small ones are gathered: an array takes some
 * hundred bytes itself, so what comes a byte at a time would take a hundred times its length.
 */
const SMALL = 1 << 10;
const FEW = 8;
const GATHERED = 1 << 14;

/**
 * From so many bytes on what is taken is lent where its memory can be used again. What is shorter costs less to copy than
 * to keep account of.
 */
const LONG = 1 << 16;

/**
 * Bytes that came in chunks and are taken in other lengths.
 *
 * A chunk belongs to the queue once pushed. `take(n)` gives a view into the chunk where the bytes lie within
 * one, and copies only where they span several; small chunks that have to wait are copied together. A long copy is lent,
 * and so is a long view of a chunk that was lent; a short view of that is a copy. When all is taken, and given back, the
 * chunk is given back too.
 */
export class ByteQueue {
  #chunks: Uint8Array[] = [];
  /** Index of the first chunk that still holds bytes, and how many of its bytes are gone. */
  #first = 0;
  #offset = 0;
  #length = 0;
  /** The chunk of which bytes are being taken, where it was lent. */
  #loan: Loan | undefined;
  /** Where small chunks are gathered, and how many bytes of it are used; the last chunk is a view of it. */
  #gathered = EMPTY;
  #used = 0;

  /** How many bytes can be taken. */
  get length(): number {
    return this.#length;
  }

  push(chunk: Uint8Array): void {
    if (chunk.byteLength === 0) return;
    this.#length += chunk.byteLength;
    if (chunk.byteLength <= SMALL && this.#chunks.length - this.#first > FEW) this.#gather(chunk);
    else this.#chunks.push(chunk);
  }

  #gather(chunk: Uint8Array): void {
    const isLast = this.#chunks.at(-1)!.buffer === this.#gathered.buffer;
    if (!isLast || this.#used + chunk.byteLength > GATHERED) {
      this.#gathered = new Uint8Array(GATHERED);
      this.#used = 0;
      this.#chunks.push(EMPTY);
    }
    this.#gathered.set(chunk, this.#used);
    giveBack(chunk);
    this.#used += chunk.byteLength;
    this.#chunks[this.#chunks.length - 1] = this.#gathered.subarray(0, this.#used);
  }

  /**
   * Takes the next `n` bytes.
   * @throws RangeError when fewer are there
   */
  take(n: number): Uint8Array {
    if (n > this.#length) throw new RangeError(`taking ${n} bytes of a queue that holds ${this.#length}`);
    if (n === 0) return new Uint8Array(0);
    const chunk = this.#begin();
    const end = this.#offset + n;
    if (end <= chunk.byteLength) {
      const view = this.#view(chunk, end);
      this.#advance(n);
      return view;
    }
    const joined = n < LONG ? new Uint8Array(n) : spareMemory.lend(spareMemory.take(n));
    for (let at = 0; at < n; ) {
      const next = this.#begin();
      const length = Math.min(next.byteLength - this.#offset, n - at);
      joined.set(next.subarray(this.#offset, this.#offset + length), at);
      at += length;
      this.#advance(length);
    }
    return joined;
  }

  /** Takes the bytes of one chunk, or undefined when the queue is empty. */
  takeChunk(): Uint8Array | undefined {
    if (this.#length === 0) return undefined;
    return this.take(this.#chunks[this.#first]!.byteLength - this.#offset);
  }

  /** The first chunk that still holds bytes. */
  #begin(): Uint8Array {
    const chunk = this.#chunks[this.#first]!;
    if (this.#offset === 0 && !this.#loan && isLent(chunk)) this.#loan = new Loan(chunk);
    return chunk;
  }

  /** The bytes of the first chunk up to `end`. */
  #view(chunk: Uint8Array, end: number): Uint8Array {
    if (!this.#loan) return chunk.subarray(this.#offset, end);
    if (end - this.#offset < LONG) return new Uint8Array(chunk.subarray(this.#offset, end));
    return this.#loan.part(chunk.subarray(this.#offset, end));
  }

  /** Moves on by `n` bytes, all of them in the first chunk. */
  #advance(n: number): void {
    this.#length -= n;
    this.#offset += n;
    if (this.#offset < this.#chunks[this.#first]!.byteLength) return;
    this.#offset = 0;
    this.#loan?.end();
    this.#loan = undefined;
    this.#chunks[this.#first++] = EMPTY; // lets the chunk be collected
    // Dropping used chunks one by one with shift() is quadratic for a queue of many small ones.
    if (this.#first * 2 >= this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#first);
      this.#first = 0;
    }
  }
}
