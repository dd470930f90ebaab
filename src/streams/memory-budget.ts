import { checkAmount, checkMethods } from "./check.ts";

/** Who keeps memory only because it may be of use again, and can do without it. */
export interface Keeper {
  /** When what it would give up first was last of use, in `MemoryShare.now()`; infinite where it has nothing to give up. */
  readonly oldest: number;
  /** Gives up what was of no use for the longest time, and releases it. */
  giveUpOldest(): void;
  /** Gives up what was of no use since a moment. */
  giveUpIdle(moment: number): void;
}

/** What one keeper holds of a budget. */
export interface MemoryShare {
  /** Bytes that it holds. */
  readonly used: number;
  /** A moment, later than each before: what is of use now is stamped with it. */
  now(): number;
  /**
   * Takes bytes. Where that is more than the share may hold, its keeper gives up its oldest things; where it is more than
   * the budget has, whoever has the oldest does.
   * @returns false where there is no room all the same; nothing was taken then
   */
  take(bytes: number): boolean;
  /** Gives back what was taken; once the share is closed it does nothing. */
  release(bytes: number): void;
  /** Gives back all. Nothing can be taken any more. */
  close(): void;
}

/**
 * Bytes of memory for all that is kept only because it may be of use again: caches, and spare memory. It is shared by use:
 * whoever needs more takes it from what was of no use for the longest time, whoever has that. What is of no use to anybody
 * goes by `giveUpIdle`, which is for the budget's owner to call now and then.
 */
export class MemoryBudget {
  /** Bytes that are held at most. */
  readonly limit: number;
  readonly #keepers = new Set<Keeper>();
  #used = 0;
  #now = 0;
  /** What somebody gives up is not for others to take, as its memory is when it becomes spare, or no room would be made. */
  #isGivingUp = false;
  /** The moment of the last look for what is of no use, and how many have had use of what they hold since then, and before. */
  #lookedAt = 0;
  #active = 0;
  #wereActive = 0;

  constructor(limit: number) {
    checkAmount(limit, "the bytes of a budget");
    this.limit = limit;
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used;
  }

  /** Bytes for each of those who have use of what they hold now, if all of them need the same. */
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
      get used() {
        return used;
      },
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
   * Has everybody give up what was of no use since the last call.
   * @returns how many bytes that were
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
