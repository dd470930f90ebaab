import { type Deferred, deferred } from "../../streams/deferred.ts";
import type { Transport } from "../../streams/duplex.ts";
import { type ForOthers, withWordsForOthers } from "../../streams/for-others.ts";
import type { Place } from "../session/place.ts";

interface Holder extends Deferred<void> {
  isGone: boolean;
}

interface Look {
  readonly since: number;
  readonly outcome: Promise<void>;
}

/** Milliseconds that a place counts as free after a look found it so: a thousand who connect cost no more than one. */
const FRESH = 1000;

/** Sees to it that a configuration has one session at a time. */
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
   * Takes the place of the configuration called `name`, until it is released. A session that has it, but whose link is gone
   * already, as that of a page that was loaded again, is waited for.
   *
   * @param claim claims the place on this machine
   * @throws Error when another session has it, and what `claim` throws
   */
  async claim(
    name: string,
    { closed }: Pick<Transport, "closed">,
    claim: () => Promise<Place>,
  ): Promise<Place> {
    // Nothing is waited for between the last look and the place: others may have waited too.
    for (let other = this.#leaving(name); other; other = this.#leaving(name)) await other.promise;
    const holder: Holder = { isGone: false, ...deferred() };
    const note = () => {
      holder.isGone = true;
    };
    closed.then(note, note);
    this.#holders.set(name, holder);
    const release = () => {
      this.#holders.delete(name);
      holder.resolve();
    };
    try {
      // A look that is under way has the place for a moment.
      await this.#looks.get(name)?.outcome.catch(() => {});
      const place = await claim();
      return { attach: place.attach, release: async () => Promise.resolve(place.release()).finally(release) };
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * The session that has a place, where one has.
   * @throws Error unless it is about to leave, and can be waited for
   */
  #leaving(name: string): Holder | undefined {
    const other = this.#holders.get(name);
    if (other && !other.isGone) throw inUse(name);
    return other;
  }
}

function inUse(name: string): Error & ForOthers {
  const error = new Error(`configuration "${name}" is in use by another session`);
  return withWordsForOthers(error, "this configuration is in use by another session");
}
