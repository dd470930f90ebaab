import { type Deferred, deferred } from "../../streams/deferred.ts";
import type { Transport } from "../../streams/duplex.ts";

interface Holder extends Deferred<void> {
  isGone: boolean;
}

/** Sees to it that a configuration has one session at a time. */
export class Exclusive {
  readonly #holders = new Map<string, Holder>();

  /**
   * Runs a session that has the configuration called `name` for itself. Another one whose link is gone already,
   * as that of a page that was loaded again, is only waited for.
   *
   * @throws Error when another session has the configuration
   */
  async run(
    name: string,
    { closed }: Pick<Transport, "closed">,
    session: () => Promise<void>,
  ): Promise<void> {
    for (let other = this.#holders.get(name); other; other = this.#holders.get(name)) {
      if (!other.isGone) throw new Error(`configuration "${name}" is in use by another session`);
      await other.promise;
    }
    const holder: Holder = { isGone: false, ...deferred() };
    const note = () => {
      holder.isGone = true;
    };
    closed.then(note, note);
    this.#holders.set(name, holder);
    try {
      await session();
    } finally {
      this.#holders.delete(name);
      holder.resolve();
    }
  }
}
