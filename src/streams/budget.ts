import { checkAmount } from "./check.ts";
import { Ended } from "./ended.ts";

/** Room for work in flight, measured in bytes. */
export interface Room {
  /**
   * Takes room for `weight` bytes: at once, then it returns undefined, or when there is room. Rejects with `Ended` when
   * there will never be room again.
   */
  acquire(weight: number): Promise<void> | undefined;
  /** Gives back what `acquire` took. */
  release(weight: number): void;
}

/** One user's part of a budget. */
export interface Share extends Room {
  /** Releases everything at once. Pending and later `acquire` calls reject with `Ended`. */
  close(): void;
}

/** What shares that hold nothing may take beyond the total, in bytes. */
export interface Reserve {
  /** All of them together. Default: without limit. */
  reserve?: number;
  /** Each of them, once the reserve is used up. Default 0. */
  assured?: number;
  /** The same, all of them together. Default: without limit. */
  assuredToAll?: number;
}

/**
 * A number of bytes shared by several users, so that none can take it all.
 *
 * A share that holds nothing gets what it asks for up to its limit, whatever the others hold, so each user can have one
 * request in flight. The reserve bounds that. Beyond the reserve, such a share gets at most `assured` bytes, and nothing
 * once `assuredToAll` bytes beyond the reserve are held. A request above the share's limit waits until the share holds
 * nothing and the total allows the request.
 *
 * So at most `total + reserve + assuredToAll` bytes are held, or `total + reserve` and `assured` for each share if that is
 * less. A single request that is larger than that is let in alone.
 */
export class ByteBudget {
  readonly #total: number;
  readonly #reserve: number;
  readonly #assured: number;
  /** Bytes that are held at most, unless a single request is more. */
  readonly #most: number;
  #used = 0;
  /** One function for each share that has waiters, next in turn first. It lets in the first waiter if that fits. */
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
    checkAmount(reserve, "reserve, in bytes,");
    checkAmount(assured, "assured, in bytes,");
    checkAmount(assuredToAll, "assuredToAll, in bytes,");
    this.#total = total;
    this.#reserve = reserve;
    this.#assured = assured;
    this.#most = total + reserve + assuredToAll;
  }

  /** Bytes that are held now. */
  get used(): number {
    return this.#used;
  }

  /** Gives what is free to waiters, one share after the other: a share with many waiters gets no more than the others. */
  #serve() {
    for (let served = this.#waiting.size > 0; served; ) {
      served = false;
      // A copy, since a share that was served moves to the end of the set.
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

    /** Lets the first waiter in if it fits, and then moves to the end of the line. */
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
