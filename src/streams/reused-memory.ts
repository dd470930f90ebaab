import { lend } from "./lent.ts";
import { type Keeper, MemoryBudget, type MemoryShare } from "./memory-budget.ts";

/** Memory for what is read, used again once it has been given back: new memory costs as much as filling it. */
export class ReusedMemory implements Keeper {
  readonly #own: MemoryShare;
  /** What is spare counts in this one. */
  #share: MemoryShare;
  /** The spare buffers, and when each was given back; the most recent last. */
  readonly #spare = new Map<ArrayBuffer, number>();
  /** The same by length, in the same order. */
  readonly #byLength = new Map<number, ArrayBuffer[]>();

  /**
   * @param limit bytes that are kept while nobody uses them
   * @param budget where they count; default: a budget of its own
   */
  constructor(limit: number, budget = new MemoryBudget(limit)) {
    this.#own = budget.share(this, limit);
    this.#share = this.#own;
  }

  /**
   * From now on at most `limit` bytes are kept, and count in another budget. What is kept now is given up.
   * @returns a function that ends that
   */
  moveTo(budget: MemoryBudget, limit: number): () => void {
    const share = budget.share(this, limit);
    this.#use(share);
    return () => {
      if (this.#share === share) this.#use(this.#own);
      share.close();
    };
  }

  #use(share: MemoryShare): void {
    this.clear();
    this.#share = share;
  }

  /** Memory of that length, with whatever was in it. */
  take(length: number): ArrayBuffer {
    const buffer = this.#byLength.get(length)?.pop();
    if (!buffer) return new ArrayBuffer(length);
    this.#forget(buffer);
    return buffer;
  }

  /** Hands out memory that was taken, its first `length` bytes. It comes back, or is the garbage collector's. */
  lend(buffer: ArrayBuffer, length = buffer.byteLength): Uint8Array {
    return lend(new Uint8Array(buffer, 0, length), () => this.#keep(buffer));
  }

  /** Gives up everything that is spare. */
  clear(): void {
    while (this.#spare.size > 0) this.giveUpOldest();
  }

  get oldest(): number {
    for (const moment of this.#spare.values()) return moment;
    return Number.POSITIVE_INFINITY;
  }

  giveUpOldest(): void {
    for (const buffer of this.#spare.keys()) {
      this.#byLength.get(buffer.byteLength)!.shift();
      this.#forget(buffer);
      return;
    }
  }

  giveUpIdle(moment: number): void {
    while (this.oldest <= moment) this.giveUpOldest();
  }

  #keep(buffer: ArrayBuffer): void {
    if (!this.#share.take(buffer.byteLength)) return;
    this.#spare.set(buffer, this.#share.now());
    const same = this.#byLength.get(buffer.byteLength);
    if (same) same.push(buffer);
    else this.#byLength.set(buffer.byteLength, [buffer]);
  }

  /** Takes note that a buffer, which its list has lost already, is not spare any more. */
  #forget(buffer: ArrayBuffer): void {
    const length = buffer.byteLength;
    this.#spare.delete(buffer);
    this.#share.release(length);
    if (this.#byLength.get(length)!.length === 0) this.#byLength.delete(length);
  }
}

/** The spare memory of everything in this process, or page: up to 16 MiB, unless `moveTo` was called. */
export const spareMemory = new ReusedMemory(1 << 24);
