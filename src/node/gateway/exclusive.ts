import { type Deferred, deferred } from "../../streams/deferred.ts";
import type { Transport } from "../../streams/duplex.ts";
import type { Place } from "../session/place.ts";
import { InUseError } from "./in-use-error.ts";
import { TakenOverError, type TakeOver, TakeOvers } from "./take-over.ts";

/** What a session that has a place does for newcomers. What is absent cannot be done. */
export interface HolderOptions {
  /**
   * Takes a new link, and tells whether it did. A link that was taken belongs to the holder. This is for a session that
   * outlives its link: when a page is loaded again, the session goes on with the new link, which would otherwise be refused.
   */
  handOver?(link: Transport): boolean;
  /** Finds out whether its link is alive, and gives the link up if it is not. Absent: it is alive. */
  isAlive?(): Promise<boolean>;
  /** Tells others who has the place. */
  describe?(): string;
  /** Ends the session in order. */
  end?(reason: TakenOverError): void;
}

/** What a newcomer wants beyond a place that is free. */
export interface NewcomerOptions {
  /** It takes the place over from the session that has it. */
  takeOver?: TakeOver | undefined;
}

/** A session that has a place, until it resolves. */
interface Holder extends Deferred<void>, HolderOptions {
  /** The end of the link that it has now. */
  link: Promise<void>;
  /** Whether that link is gone. */
  isGone: boolean;
}

interface Look {
  readonly since: number;
  readonly outcome: Promise<void>;
}

/** Milliseconds for which a place counts as free once it was found free, so that a thousand connections cost no more than one. */
const FRESH = 1000;

/**
 * Gives the place of each configuration to one session at a time.
 *
 * A newcomer to a place that is taken has the link of its holder tried. If that is alive the newcomer is refused; if not, the
 * holder leaves, and is waited for. Or the newcomer takes the place over: the holder ends in order, and leaves, before the
 * newcomer has the place.
 */
export class Exclusive {
  readonly #holders = new Map<string, Holder>();
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
      if (takeOver && !other.isGone) return this.#takeOvers.check(name, takeOver);
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

  /**
   * Offers a new link to the session that has the place of the configuration called `name`. It must come before a session is
   * begun for that link, and before anything is read from it.
   * @returns whether the session has taken the link; otherwise it stays the caller's
   */
  handOver(name: string, link: Transport): boolean {
    const holder = this.#holders.get(name);
    if (!holder?.handOver?.(link)) return false;
    follow(holder, link);
    return true;
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
    { takeOver, ...options }: HolderOptions & NewcomerOptions = {},
  ): Promise<Place> {
    // Others may have waited too, so nothing is awaited between the last check and the entry in the map.
    for (let other = this.#holders.get(name); other; other = this.#holders.get(name)) {
      await whileThere(link, name, this.#leaving(name, other, takeOver));
    }
    const holder: Holder = { ...options, link: link.closed, isGone: false, ...deferred() };
    follow(holder, link);
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
  async #leaving(name: string, holder: Holder, takeOver?: TakeOver): Promise<void> {
    if (!holder.isGone) {
      if (takeOver && holder.end) {
        this.#takeOvers.begin(name, takeOver);
        holder.end(new TakenOverError(takeOver.by));
        // Over a dead link no end is in order.
        void holder.isAlive?.();
      } else {
        const words = holder.describe?.();
        const isAlive = holder.isAlive ? await holder.isAlive() : true;
        if (isAlive && this.#holders.get(name) === holder) throw inUse(name, words);
      }
    }
    if (this.#holders.get(name) === holder) await holder.promise;
  }
}

/** Gives a holder this link. When the link is gone the holder is, unless it has another link by then. */
function follow(holder: Holder, { closed }: Pick<Transport, "closed">): void {
  holder.link = closed;
  holder.isGone = false;
  const note = () => {
    if (holder.link === closed) holder.isGone = true;
  };
  closed.then(note, note);
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
