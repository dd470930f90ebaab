import { giveBack, isLent, Loan } from "./lent.ts";
import { spareMemory } from "./reused-memory.ts";

const EMPTY = new Uint8Array(0);

/**
 * Chunks up to SMALL bytes are copied together, into arrays of GATHERED bytes, while more than FEW chunks wait. An array
 * object is large: bytes that come one at a time would take a hundred times their length.
 */
const SMALL = 1 << 10;
const FEW = 8;
const GATHERED = 1 << 14;

/** Results of at least this many bytes are lent if their memory can be reused. A shorter one is cheaper to copy. */
const LONG = 1 << 16;

/**
 * Bytes that came in chunks and are taken in other lengths.
 *
 * A pushed chunk belongs to the queue. `take(n)` returns a view if the bytes lie within one chunk, and copies them if they
 * span several. Small chunks that have to wait are copied together.
 *
 * Long copies are lent, and so are long views of a lent chunk; short parts of a lent chunk are copied. A lent chunk is given
 * back once all of it has been taken and all views of it have been given back.
 */
export class ByteQueue {
  #chunks: Uint8Array[] = [];
  /** Index of the first chunk that still holds bytes, and how many of its bytes have been taken. */
  #first = 0;
  #offset = 0;
  #length = 0;
  /** The loan of the first chunk, if that chunk was lent and bytes of it have been taken. */
  #loan: Loan | undefined;
  /** The array in which small chunks are gathered, and how many of its bytes are used. The last chunk is a view of it. */
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
   * @throws RangeError when the queue holds fewer
   */
  take(n: number): Uint8Array {
    if (n > this.#length) throw new RangeError(`cannot take ${n} bytes: the queue holds ${this.#length}`);
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
    this.#chunks[this.#first++] = EMPTY; // so that the chunk can be collected
    // shift() for each chunk would be quadratic in the number of chunks.
    if (this.#first * 2 >= this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#first);
      this.#first = 0;
    }
  }
}
