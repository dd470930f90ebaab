import { type Deferred, deferred } from "../../streams/deferred.ts";
import type { Transport } from "../../streams/duplex.ts";
import type { Place } from "../session/place.ts";
import { InUseError } from "./in-use-error.ts";
import { TakenOverError, type TakeOver, TakeOvers } from "./take-over.ts";

/** What a session that has a place does for newcomers. What is absent cannot be done. */
export interface HolderOptions<Link = never> {
  /**
   * Takes a new link, and tells whether it did. A link that was taken belongs to the holder. This is for a session that
   * outlives its link: when a page is loaded again, the session goes on with the new link, which would otherwise be refused.
   */
  handOver?(link: Link): boolean;
  /** Finds out whether its link is alive, and gives the link up if it is not. Absent: it is alive. */
  isAlive?(): Promise<boolean>;
  /** Tells others who has the place. */
  describe?(): string;
  /** Settles when the session will leave. Default: when its link is gone. */
  leaving?: Promise<void>;
  /** Ends the session in order. */
  end?(reason: TakenOverError): void;
}

/** What a newcomer wants beyond a place that is free. */
export interface NewcomerOptions {
  /** It takes the place over from the session that has it. */
  takeOver?: TakeOver | undefined;
}

/** A session that has a place, until it resolves. */
interface Holder<Link> extends Deferred<void>, HolderOptions<Link> {
  /** Whether it is about to leave. */
  isLeaving: boolean;
}

interface Look {
  since: number;
  readonly outcome: Promise<void>;
}

/** Milliseconds for which a place counts as free once it was found free, so that a thousand connections cost no more than one. */
const FRESH = 1000;

/**
 * Gives the place of each configuration to one session at a time.
 *
 * A newcomer to a place that is taken has the link of its holder tried. The newcomer is refused, unless the holder leaves since
 * the link is gone; then that is waited for. Or the newcomer takes the place over: the holder ends in order, and leaves, before
 * the newcomer has the place.
 *
 * @typeParam Link what a holder that outlives its link is handed over
 */
export class Exclusive<Link = never> {
  readonly #holders = new Map<string, Holder<Link>>();
  readonly #looks = new Map<string, Look>();
  readonly #takeOvers: TakeOvers;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now?: () => number) {
    this.#takeOvers = new TakeOvers(now);
  }

  /**
   * Finds out whether a session could have the place of the configuration called `name` now. Nothing is held for it, and
   * nothing is taken over yet.
   * @param look finds out on this machine
   * @throws Error when another session has it, and what `look` throws
   */
  async look(name: string, look: () => Promise<void>, { takeOver }: NewcomerOptions = {}): Promise<void> {
    for (let other = this.#holders.get(name); other; other = this.#holders.get(name)) {
      // Its place is there, and ours to give.
      if (takeOver && !other.isLeaving) return this.#takeOvers.check(name, takeOver);
      await this.#leaving(name, other);
    }
    const known = this.#looks.get(name);
    if (known && performance.now() - known.since < FRESH) return known.outcome;
    const mine: Look = { since: performance.now(), outcome: look() };
    this.#looks.set(name, mine);
    try {
      await mine.outcome;
    } catch (error) {
      // What is wrong may be put right at any time.
      if (this.#looks.get(name) === mine) this.#looks.delete(name);
      throw error;
    }
  }

  /** Places may be other ones from now on: each is looked at anew. */
  forgetLooks(): void {
    // One that is under way is waited for all the same.
    for (const look of this.#looks.values()) look.since = Number.NEGATIVE_INFINITY;
  }

  /** Whether the session that has the place of the configuration called `name` may take a new link. */
  takesLinks(name: string): boolean {
    const holder = this.#holders.get(name);
    return holder?.handOver !== undefined && !holder.isLeaving;
  }

  /**
   * Offers a new link to the session that has the place of the configuration called `name`.
   * @returns whether the session has taken the link; otherwise it stays the caller's
   */
  handOver(name: string, link: Link): boolean {
    const holder = this.#holders.get(name);
    return holder?.handOver !== undefined && !holder.isLeaving && holder.handOver(link);
  }

  /**
   * Takes the place of the configuration called `name`, until it is released. When another session has it and leaves, since its
   * link is gone or does not answer, or since the place is taken over, this waits until that session has left.
   *
   * @param link the link of the session that is to have the place
   * @param claim claims the place on this machine
   * @throws Error when another session has it, when the link ends before the place is free, and what `claim` throws
   */
  async claim(
    name: string,
    link: Pick<Transport, "closed">,
    claim: () => Promise<Place>,
    { takeOver, leaving = link.closed, ...options }: HolderOptions<Link> & NewcomerOptions = {},
  ): Promise<Place> {
    // Others may have waited too, so nothing is awaited between the last check and the entry in the map.
    for (let other = this.#holders.get(name); other; other = this.#holders.get(name)) {
      await whileThere(link, name, this.#leaving(name, other, takeOver));
    }
    const holder: Holder<Link> = { ...options, isLeaving: false, ...deferred() };
    const leave = () => {
      holder.isLeaving = true;
    };
    leaving.then(leave, leave);
    this.#holders.set(name, holder);
    const release = () => {
      this.#holders.delete(name);
      holder.resolve();
    };
    try {
      // A look that is under way holds the place for a moment.
      await this.#looks.get(name)?.outcome.catch(() => {});
      const place = await claim();
      return { attach: place.attach, release: async () => Promise.resolve(place.release()).finally(release) };
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Waits until a session has left its place.
   * @throws Error when it does not leave
   */
  async #leaving(name: string, holder: Holder<Link>, takeOver?: TakeOver): Promise<void> {
    if (!holder.isLeaving) {
      if (takeOver && holder.end) {
        this.#takeOvers.begin(name, takeOver);
        holder.end(new TakenOverError(takeOver.by));
        // Over a dead link no end is in order.
        void holder.isAlive?.();
      } else {
        const words = holder.describe?.();
        const isAlive = holder.isAlive ? await holder.isAlive() : true;
        const stays = isAlive || (holder.handOver !== undefined && !holder.isLeaving);
        if (stays && this.#holders.get(name) === holder) throw inUse(name, words);
      }
    }
    if (this.#holders.get(name) === holder) await holder.promise;
  }
}

/**
 * Waits for something in favour of a newcomer, as long as that is there.
 * @throws Error when its link ends before
 */
async function whileThere(
  { closed }: Pick<Transport, "closed">,
  name: string,
  work: Promise<void>,
): Promise<void> {
  const leave = () => {
    throw new Error(`left while it waited for configuration "${name}"`);
  };
  await Promise.race([work, closed.then(leave, leave)]);
}

function inUse(name: string, words = "this configuration is in use by another session") {
  return new InUseError(`configuration "${name}" is in use by another session`, words);
}
