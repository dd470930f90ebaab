import { checkAmount, checkMethods } from "./check.ts";

/** A cache, or another owner of memory that it can do without. */
export interface Keeper {
  /** When its least recently used thing was last used, by `MemoryShare.now()`; Infinity if it has nothing to give up. */
  readonly oldest: number;
  /** Gives up its least recently used thing, and releases the bytes of that. */
  giveUpOldest(): void;
  /** Gives up what was last used at `moment` or before, and releases its bytes. */
  giveUpIdle(moment: number): void;
}

/** What one keeper holds of a budget. */
export interface MemoryShare {
  /** The moment of a use, later than all moments before. The keeper notes it for the thing that it uses. */
  now(): number;
  /**
   * Takes bytes. Makes room if necessary: within the share, its keeper gives up its oldest things; within the budget, the
   * keeper with the oldest thing of all does.
   * @returns false if there is no room even then; nothing was taken
   */
  take(bytes: number): boolean;
  /** Gives back bytes that were taken. It does nothing after `close`. */
  release(bytes: number): void;
  /** Gives back everything. Nothing can be taken after that. */
  close(): void;
}

/**
 * A number of bytes shared by caches and spare memory. A keeper that needs more gets it from the least recently used thing
 * of all keepers.
 *
 * The owner of the budget calls `giveUpIdle` from time to time, to free what nobody uses.
 */
export class MemoryBudget {
  /** Bytes that are held at most. */
  readonly limit: number;
  readonly #keepers = new Set<Keeper>();
  #used = 0;
  #now = 0;
  /** Nothing can be taken meanwhile: else memory that a cache gives up would count again, as spare memory. */
  #isGivingUp = false;
  /** The moment of the last `giveUpIdle`. */
  #lookedAt = 0;
  /** How many keepers have used something since then, and in the period before. */
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

  /** The bytes of each keeper, if all that used something recently had equal parts. */
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
   * Makes every keeper give up what was not used since the last call.
   * @returns how many bytes that freed
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
