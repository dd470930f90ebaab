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

export interface MemoryBudgetOptions {
  /** Milliseconds after which what was of no use is given up; it happens after half of that at the earliest. Default: never. */
  idleTime?: number;
  /** Called after something was given up because it was idle, with the number of its bytes. */
  onIdle?(bytes: number): void;
}

/**
 * Bytes of memory for all that is kept only because it may be of use again: caches, and spare memory. It is shared by use:
 * whoever needs more takes it from what was of no use for the longest time, whoever has that.
 */
export class MemoryBudget {
  /** Bytes that are held at most. */
  readonly limit: number;
  readonly #idleTime: number;
  readonly #onIdle: MemoryBudgetOptions["onIdle"];
  readonly #keepers = new Set<Keeper>();
  #used = 0;
  #now = 0;
  /** What somebody gives up is not for others to take, as its memory is when it becomes spare, or no room would be made. */
  #isGivingUp = false;
  /** Runs while something may be held. */
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The moment of the last look for what is idle. */
  #lookedAt = 0;

  constructor(limit: number, { idleTime = Number.POSITIVE_INFINITY, onIdle }: MemoryBudgetOptions = {}) {
    this.limit = limit;
    this.#idleTime = idleTime;
    this.#onIdle = onIdle;
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used;
  }

  /** A share of at most `limit` bytes. */
  share(keeper: Keeper, limit = this.limit): MemoryShare {
    let used = 0;
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
      if (this.#keepers.size === 0) this.#stopLooking();
    };
    const take = (bytes: number) => {
      if (isClosed || this.#isGivingUp || bytes > limit) return false;
      while (used + bytes > limit && keeper.oldest < Number.POSITIVE_INFINITY) keeper.giveUpOldest();
      if (used + bytes > limit || !this.#makeRoom(bytes)) return false;
      used += bytes;
      this.#used += bytes;
      this.#lookForIdle();
      return true;
    };
    return {
      get used() {
        return used;
      },
      now: () => ++this.#now,
      take,
      release,
      close,
    };
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

  #lookForIdle() {
    if (this.#timer || this.#idleTime === Number.POSITIVE_INFINITY) return;
    this.#lookedAt = 0;
    this.#timer = setInterval(() => this.#giveUpIdle(), this.#idleTime / 2);
    // Nothing is lost when the process ends before that. Browsers have numbers for timers.
    (this.#timer as { unref?(): void }).unref?.();
  }

  #stopLooking() {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #giveUpIdle() {
    const before = this.#used;
    this.#givingUp(() => {
      for (const keeper of this.#keepers) keeper.giveUpIdle(this.#lookedAt);
    });
    this.#lookedAt = this.#now;
    if (this.#used === 0) this.#stopLooking();
    if (this.#used < before) this.#onIdle?.(before - this.#used);
  }
}
