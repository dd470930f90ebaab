import { checkAmount } from "./check.ts";
import { Ended } from "./ended.ts";

/** Room for work in flight, measured in bytes. */
export interface Room {
  /**
   * Waits until there is room for `weight` bytes and takes it; undefined when that was possible at once. Rejects with
   * `Ended` when there will never be any again.
   */
  acquire(weight: number): Promise<void> | undefined;
  /** Gives back what `acquire` took. */
  release(weight: number): void;
}

/** A user's part of a budget. */
export interface Share extends Room {
  /** Gives back all that is held, whoever still holds it. Who waits for more, or asks for it, has come too late. */
  close(): void;
}

/** What shares that hold nothing are given beyond the total, in bytes. */
export interface Reserve {
  /** For all of them together. Default: without end. */
  reserve?: number;
  /** Once the reserve is used up, for each of them. Default 0. */
  assured?: number;
  /** The same, for all of them together. Default: without end. */
  assuredToAll?: number;
}

/**
 * A number of bytes shared by several users, so that none can take it all.
 *
 * A share that holds nothing is given what it asks for up to its limit, whatever the others hold: each user can have one
 * request in flight. That is bounded by the reserve, beyond which it is given a short request only, of `assured` bytes at
 * most, and nothing once all shares hold `assuredToAll` of that. One that asks for more than its limit waits until it holds
 * nothing itself and the total allows it.
 *
 * What is held at any time is therefore at most `total`, `reserve` and `assuredToAll` together, or, where it is less,
 * `assured` for each share in place of the latter; or one request if that alone is more.
 */
export class ByteBudget {
  readonly #total: number;
  readonly #reserve: number;
  readonly #assured: number;
  /** The most that is ever held, unless one request alone is more. */
  readonly #most: number;
  #used = 0;
  /** Shares with somebody waiting, the one whose turn is next first: each serves its first waiter if that fits. */
  readonly #waiting = new Set<() => boolean>();

  /** @param total bytes for all shares together */
  constructor(
    total: number,
    {
      reserve = Number.POSITIVE_INFINITY,
      assured = 0,
      assuredToAll = Number.POSITIVE_INFINITY,
    }: Reserve = {},
  ) {
    checkAmount(total, "the bytes of a budget");
    checkAmount(reserve, "the reserve of a budget, in bytes,");
    checkAmount(assured, "what is assured by a budget, in bytes,");
    checkAmount(assuredToAll, "what is assured by a budget to all together, in bytes,");
    this.#total = total;
    this.#reserve = reserve;
    this.#assured = assured;
    this.#most = total + reserve + assuredToAll;
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used;
  }

  /** Gives what is free to those who wait, the shares in turn: one with many waiting takes no more than the others. */
  #serve() {
    for (let served = this.#waiting.size > 0; served; ) {
      served = false;
      // A copy, since a share that was served goes to the end of the line.
      for (const serve of [...this.#waiting]) served = serve() || served;
    }
  }

  /** A share of `limit` bytes. */
  share(limit: number): Share {
    checkAmount(limit, "the limit of a share, in bytes,");
    let held = 0;
    let isClosed = false;
    const waiters: { weight: number; resolve: () => void; reject: (reason: unknown) => void }[] = [];

    const admit = (weight: number): boolean => {
      const isInTotal = this.#used === 0 || this.#used + weight <= this.#total;
      const isAssured = weight <= this.#assured;
      const most = isAssured ? this.#most : this.#total + this.#reserve;
      const isGiven = (isAssured || weight <= limit) && this.#used + weight <= most;
      const fits = held === 0 ? isGiven || isInTotal : held + weight <= limit && isInTotal;
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
        if (isClosed) return Promise.reject(new Ended("the room was closed"));
        if (waiters.length === 0 && admit(weight)) return undefined;
        return new Promise<void>((resolve, reject) => {
          waiters.push({ weight, resolve, reject });
          this.#waiting.add(serve);
        });
      },
      close: () => {
        if (isClosed) return;
        isClosed = true;
        this.#used -= held;
        this.#waiting.delete(serve);
        for (const { reject } of waiters.splice(0)) reject(new Ended("the room was closed"));
        this.#serve();
      },
      release: (weight) => {
        if (isClosed) return;
        held -= weight;
        this.#used -= weight;
        this.#serve();
      },
    };
  }
}
