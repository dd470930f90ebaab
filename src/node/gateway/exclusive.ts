import { type Deferred, deferred } from "../../streams/deferred.ts";
import type { Transport } from "../../streams/duplex.ts";
import { type ForOthers, withWordsForOthers } from "../../streams/for-others.ts";
import type { Place } from "../session/place.ts";

/** One of those who want a place, as long as they do. */
interface Claim {
  readonly link: Pick<Transport, "close">;
  isGone: boolean;
}

/** A place, and those who want it. */
class Held {
  readonly place: Promise<Place>;
  readonly claims = new Set<Claim>();
  /** The one of them that has it. */
  holder: Claim | undefined;
  readonly released: Deferred<void> = deferred();

  constructor(place: Promise<Place>) {
    this.place = place;
    place.catch(() => {});
  }
}

/**
 * Sees to it that a configuration has one session at a time.
 *
 * Whoever connects first claims the place of the configuration, so that a place that cannot be had is told at once. It is
 * exclusive from the moment on that one of those who wait has greeted as an NBD server: one that says nothing keeps
 * nobody out.
 */
export class Exclusive {
  readonly #held = new Map<string, Held>();

  /**
   * Claims the place of the configuration called `name`. While a session that has it ends, as that of a page that was
   * loaded again, it is waited for.
   *
   * @param link what the session runs over; it is closed when another session gets the place
   * @param claim claims the place on this machine
   * @throws Error when another session has it, and what `claim` throws
   */
  async claim(
    name: string,
    link: Pick<Transport, "closed" | "close">,
    claim: () => Promise<Place>,
  ): Promise<Place> {
    const mine: Claim = { link, isGone: false };
    const note = () => {
      mine.isGone = true;
    };
    link.closed.then(note, note);
    for (;;) {
      const held = this.#held.get(name) ?? this.#begin(name, claim);
      if (held.holder) {
        if (!held.holder.isGone) throw inUse(name);
        await held.released.promise;
        continue;
      }
      held.claims.add(mine);
      try {
        const { attach } = await held.place;
        return {
          attach,
          confirm: () => confirm(name, held, mine),
          release: () => this.#leave(name, held, mine),
        };
      } catch (error) {
        await this.#leave(name, held, mine);
        throw error;
      }
    }
  }

  #begin(name: string, claim: () => Promise<Place>): Held {
    const held = new Held(claim());
    this.#held.set(name, held);
    return held;
  }

  /** The last one to leave gives the place back. */
  async #leave(name: string, held: Held, mine: Claim): Promise<void> {
    held.claims.delete(mine);
    mine.isGone = true;
    if (held.claims.size > 0) return;
    // Nobody gets in any more, and whoever comes waits.
    held.holder ??= mine;
    try {
      await (await held.place.catch(() => undefined))?.release();
    } finally {
      this.#held.delete(name);
      held.released.resolve();
    }
  }
}

/** Gives the place to one of its claims. The others are told. */
function confirm(name: string, held: Held, mine: Claim): void {
  if (held.holder) throw inUse(name);
  held.holder = mine;
  for (const { link } of held.claims) if (link !== mine.link) link.close(inUse(name));
}

function inUse(name: string): Error & ForOthers {
  const error = new Error(`configuration "${name}" is in use by another session`);
  return withWordsForOthers(error, "this configuration is in use by another session");
}
