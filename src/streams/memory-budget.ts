import { checkAmount, checkMethods } from "./check.ts";

/** Something that keeps memory only in case it is needed again, and can do without it. */
export interface Keeper {
  /** When the thing that it would give up first was last used, as `MemoryShare.now()` told it; Infinity: it can give up nothing. */
  readonly oldest: number;
  /** Gives up the thing that was not used for the longest time, and releases its bytes. */
  giveUpOldest(): void;
  /** Gives up what has not been used since a moment. */
  giveUpIdle(moment: number): void;
}

/** What one keeper holds of a budget. */
export interface MemoryShare {
  /** A moment, later than all before it, to be noted for what is being used. */
  now(): number;
  /**
   * Takes bytes. If that is more than the share may hold, its keeper gives up its oldest things first; if it is more than
   * is left in the budget, the keeper with the oldest thing of all does.
   * @returns false if there is no room even so; then nothing was taken
   */
  take(bytes: number): boolean;
  /** Gives back what was taken. After `close` it does nothing. */
  release(bytes: number): void;
  /** Gives back everything. Nothing can be taken any more. */
  close(): void;
}

/**
 * A number of bytes for everything that is kept only in case it is needed again: caches and spare memory. Use decides who
 * gets them: a keeper that needs more takes it from whatever was not used for the longest time, whoever keeps that.
 *
 * The owner of the budget calls `giveUpIdle` now and then, so that what nobody uses goes.
 */
export class MemoryBudget {
  /** Bytes that are held at most. */
  readonly limit: number;
  readonly #keepers = new Set<Keeper>();
  #used = 0;
  #now = 0;
  /** Nothing can be taken meanwhile: memory that a cache gives up may become spare, and then no room would be made. */
  #isGivingUp = false;
  /** The moment of the last `giveUpIdle`. */
  #lookedAt = 0;
  /** How many keepers have used something since then, and between the two calls before. */
  #active = 0;
  #wereActive = 0;

  /** @param limit bytes */
  constructor(limit: number) {
    checkAmount(limit, "the bytes of a budget");
    this.limit = limit;
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used;
  }

  /** The bytes that each keeper would have, if all that used something recently had the same. */
  get fairPart(): number {
    return this.limit / Math.max(this.#active, this.#wereActive, 1);
  }

  /** A share of at most `limit` bytes. */
  share(keeper: Keeper, limit = this.limit): MemoryShare {
    checkMethods(keeper, "the keeper", "a Keeper", ["giveUpOldest", "giveUpIdle"]);
    checkAmount(limit, "the limit of a share, in bytes,");
    let used = 0;
    let usedAt = 0;
    let isClosed = false;
    this.#keepers.add(keeper);
    const release = (bytes: number) => {
      if (isClosed) return;
      used -= bytes;
      this.#used -= bytes;
    };
    const close = () => {
      release(used);
      isClosed = true;
      this.#keepers.delete(keeper);
    };
    const take = (bytes: number) => {
      if (isClosed || this.#isGivingUp || bytes > limit) return false;
      while (used + bytes > limit && keeper.oldest < Number.POSITIVE_INFINITY) keeper.giveUpOldest();
      if (used + bytes > limit || !this.#makeRoom(bytes)) return false;
      used += bytes;
      this.#used += bytes;
      return true;
    };
    return {
      now: () => {
        if (usedAt <= this.#lookedAt) this.#active++;
        usedAt = ++this.#now;
        return usedAt;
      },
      take,
      release,
      close,
    };
  }

  /**
   * Has every keeper give up what has not been used since the last call.
   * @returns how many bytes that was
   */
  giveUpIdle(): number {
    const before = this.#used;
    this.#givingUp(() => {
      for (const keeper of this.#keepers) keeper.giveUpIdle(this.#lookedAt);
    });
    this.#lookedAt = this.#now;
    this.#wereActive = this.#active;
    this.#active = 0;
    return before - this.#used;
  }

  #makeRoom(bytes: number): boolean {
    if (this.#used + bytes <= this.limit) return true;
    return this.#givingUp(() => {
      while (this.#used + bytes > this.limit) {
        const keeper = this.#keeperOfOldest();
        if (!keeper) return false;
        keeper.giveUpOldest();
      }
      return true;
    });
  }

  #keeperOfOldest(): Keeper | undefined {
    let found: Keeper | undefined;
    let oldest = Number.POSITIVE_INFINITY;
    for (const keeper of this.#keepers) {
      const moment = keeper.oldest;
      if (moment >= oldest) continue;
      oldest = moment;
      found = keeper;
    }
    return found;
  }

  #givingUp<T>(work: () => T): T {
    this.#isGivingUp = true;
    try {
      return work();
    } finally {
      this.#isGivingUp = false;
    }
  }
}
