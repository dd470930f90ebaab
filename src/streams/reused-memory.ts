import { lend } from "./lent.ts";
import { type Keeper, MemoryBudget, type MemoryShare } from "./memory-budget.ts";

/** Memory for what is read, used again once it has been given back: new memory costs as much as filling it. */
export class ReusedMemory implements Keeper {
  readonly #own: MemoryShare;
  /** What is spare now is of this one. */
  #share: MemoryShare;
  /** What nobody has use of, and since when; the one that was given back last comes last. */
  readonly #spare = new Map<ArrayBuffer, number>();
  /** The same by length, in the same order. */
  readonly #byLength = new Map<number, ArrayBuffer[]>();

  /**
   * @param limit bytes that are kept while nobody has use of them
   * @param budget what they are of; default: one of its own
   */
  constructor(limit: number, budget = new MemoryBudget(limit)) {
    this.#own = budget.share(this, limit);
    this.#share = this.#own;
  }

  /**
   * From now on what is kept is at most `limit` bytes of another budget; what is kept now is given up.
   * @returns ends that
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

  /** Gives up all that nobody has use of. */
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
      free(buffer);
      return;
    }
  }

  giveUpIdle(moment: number): void {
    while (this.oldest <= moment) this.giveUpOldest();
  }

  #keep(buffer: ArrayBuffer): void {
    if (!this.#share.take(buffer.byteLength)) {
      free(buffer);
      return;
    }
    this.#spare.set(buffer, this.#share.now());
    const same = this.#byLength.get(buffer.byteLength);
    if (same) same.push(buffer);
    else this.#byLength.set(buffer.byteLength, [buffer]);
  }

  /** Takes one out that is in its list no more. */
  #forget(buffer: ArrayBuffer): void {
    const length = buffer.byteLength;
    this.#spare.delete(buffer);
    this.#share.release(length);
    if (this.#byLength.get(length)!.length === 0) this.#byLength.delete(length);
  }
}

/** Gives memory that nobody looks at any more back to the system at once, where the runtime can: in others it is garbage. */
function free(buffer: ArrayBuffer & { transfer?(length: number): ArrayBuffer }): void {
  buffer.transfer?.(0);
}

/** The spare memory of all that runs in this process, or page: 16 MiB, or what `moveTo` says. */
export const spareMemory = new ReusedMemory(1 << 24);
