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
  /** Shares with somebody waiting, the one whose turn is next first: each serves its first waiter if that fits. */
  readonly #waiting = new Set<() => boolean>();

  /** @param total bytes for all shares together */
  constructor(total: number) {
    this.#total = total;
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used;
  }

  /** Gives what is free to those who wait, the shares in turn: one with many waiting takes no more than the others. */
  #serve() {
    for (let served = true; served; ) {
      served = false;
      // A copy, since a share that was served goes to the end of the line.
      for (const serve of [...this.#waiting]) served = serve() || served;
    }
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

    /** Lets the first waiter in if it fits, and goes to the end of the line. */
    const serve = (): boolean => {
      if (!admit(waiters[0]!.weight)) return false;
      waiters.shift()!.resolve();
      this.#waiting.delete(serve);
      if (waiters.length > 0) this.#waiting.add(serve);
      return true;
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
        this.#serve();
      },
    };
  }
}
