import { type Deferred, deferred } from "../../streams/deferred.ts";
import type { Transport } from "../../streams/duplex.ts";
import { type ForOthers, withWordsForOthers } from "../../streams/for-others.ts";
import type { Place } from "../session/place.ts";

/** What a session that has a place does with a new link for it. */
export interface HolderOptions {
  /**
   * Takes a new link, and tells whether it did. A link that was taken belongs to the holder. This is for a session that
   * outlives its link: when a page is loaded again, the session goes on with the new link, which would otherwise be refused.
   * Default: no link is taken.
   */
  handOver?(link: Transport): boolean;
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

/** Gives the place of each configuration to one session at a time. */
export class Exclusive {
  readonly #holders = new Map<string, Holder>();
  readonly #looks = new Map<string, Look>();

  /**
   * Finds out whether a session could have the place of the configuration called `name` now. Nothing is held for it.
   * @param look finds out on this machine
   * @throws Error when another session has it, and what `look` throws
   */
  async look(name: string, look: () => Promise<void>): Promise<void> {
    for (let other = this.#leaving(name); other; other = this.#leaving(name)) await other.promise;
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
   * Takes the place of the configuration called `name`, until it is released. When another session has it and has lost its
   * link already, as after a page was loaded again, this waits until that session has left.
   *
   * @param link the link of the session that is to have the place
   * @param claim claims the place on this machine
   * @throws Error when another session has it, and what `claim` throws
   */
  async claim(
    name: string,
    link: Pick<Transport, "closed">,
    claim: () => Promise<Place>,
    { handOver }: HolderOptions = {},
  ): Promise<Place> {
    // Others may have waited too, so nothing is awaited between the last check and the entry in the map.
    for (let other = this.#leaving(name); other; other = this.#leaving(name)) await other.promise;
    const holder: Holder = { link: link.closed, isGone: false, ...(handOver && { handOver }), ...deferred() };
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
   * The session that has a place, if there is one.
   * @throws Error unless that session is about to leave, and can be waited for
   */
  #leaving(name: string): Holder | undefined {
    const other = this.#holders.get(name);
    if (other && !other.isGone) throw inUse(name);
    return other;
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

function inUse(name: string): Error & ForOthers {
  const error = new Error(`configuration "${name}" is in use by another session`);
  return withWordsForOthers(error, "this configuration is in use by another session");
}
