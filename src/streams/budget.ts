/** Room for work in flight, measured in bytes. */
export interface Room {
  /** Waits until there is room for `weight` bytes and takes it; undefined when that was possible at once. */
  acquire(weight: number): Promise<void> | undefined;
  /** Gives back what `acquire` took. */
  release(weight: number): void;
}

/**
 * A number of bytes shared by several users, so that none can take it all.
 *
 * A share that holds nothing is always given what it asks for: whatever the others hold, each user can have one
 * request in flight. What is held at any time is therefore at most `total` and one request of each share.
 */
export class ByteBudget {
  readonly #total: number;
  #used = 0;
  /** Shares with somebody waiting, in the order in which they began to wait. */
  readonly #waiting = new Set<() => boolean>();

  /** @param total bytes for all shares together */
  constructor(total: number) {
    this.#total = total;
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used;
  }

  /** A share of at most `limit` bytes. It needs no end: what it holds is what was not released. */
  share(limit: number): Room {
    let held = 0;
    const waiters: { weight: number; resolve: () => void }[] = [];

    const admit = (weight: number): boolean => {
      const fits = held === 0 || (held + weight <= limit && this.#used + weight <= this.#total);
      if (!fits) return false;
      held += weight;
      this.#used += weight;
      return true;
    };

    /** Lets the first waiter in if it fits; true while somebody still waits. */
    const serve = (): boolean => {
      while (waiters.length > 0 && admit(waiters[0]!.weight)) waiters.shift()!.resolve();
      return waiters.length > 0;
    };

    return {
      acquire: (weight) => {
        if (waiters.length === 0 && admit(weight)) return undefined;
        return new Promise<void>((resolve) => {
          waiters.push({ weight, resolve });
          this.#waiting.add(serve);
        });
      },
      release: (weight) => {
        held -= weight;
        this.#used -= weight;
        for (const next of [...this.#waiting]) if (!next()) this.#waiting.delete(next);
      },
    };
  }
}
