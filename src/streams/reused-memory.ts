import { lend } from "./lent.ts";
import type { Keeper, MemoryBudget, MemoryShare } from "./memory-budget.ts";
import { ownMemory } from "./own-memory.ts";

/** Buffers for reads, reused once they have been given back: to allocate one costs as much as to fill it. */
export class ReusedMemory implements Keeper {
  readonly #own: MemoryShare;
  /** The share in which spare buffers count. */
  #share: MemoryShare;
  /** The spare buffers, and when each was given back; the most recent last. */
  readonly #spare = new Map<ArrayBuffer, number>();
  /** The same buffers by length, in the same order. */
  readonly #byLength = new Map<number, ArrayBuffer[]>();

  /**
   * @param limit how many bytes may be spare
   * @param budget the budget in which they count; without one, they count nowhere else
   */
  constructor(limit: number, budget?: MemoryBudget) {
    this.#own = budget ? budget.share(this, limit) : ownMemory(this, limit);
    this.#share = this.#own;
  }

  /**
   * From now on at most `limit` bytes are spare, and they count in another budget. Gives up what is spare now.
   * @returns a function that undoes this
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

  /** A buffer of that length in bytes, with arbitrary content. */
  take(length: number): ArrayBuffer {
    const buffer = this.#byLength.get(length)?.pop();
    if (!buffer) return new ArrayBuffer(length);
    this.#forget(buffer);
    return buffer;
  }

  /** Lends the first `length` bytes of a buffer from `take`. Once given back, the buffer is spare. */
  lend(buffer: ArrayBuffer, length = buffer.byteLength): Uint8Array {
    return lend(new Uint8Array(buffer, 0, length), () => this.#keep(buffer));
  }

  /** Gives up all spare buffers. */
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

  /** Stops counting a buffer that was removed from its list. */
  #forget(buffer: ArrayBuffer): void {
    const length = buffer.byteLength;
    this.#spare.delete(buffer);
    this.#share.release(length);
    if (this.#byLength.get(length)!.length === 0) this.#byLength.delete(length);
  }
}

/** The spare memory of this process or page: up to 16 MiB, unless `moveTo` was called. */
export const spareMemory = new ReusedMemory(1 << 24);
