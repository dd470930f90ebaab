import type { NBDServerState } from "../../src/NBDServer.ts";

/** Which session of a gateway is a card's own: the gateway tells of sessions, and to nobody whose they are. */
export class OwnSession {
  #id: string | undefined;
  /** The session that was there before the card began, and is somebody else's. */
  #others: string | undefined;
  #isKnown = false;

  /** The session that is, or was, the card's; undefined: not known. */
  get id(): string | undefined {
    return this.#id;
  }

  /**
   * The card's server is about to begin.
   * @param there the session that the gateway has told of last
   * @param isResumable whether the card may go on with it
   */
  begin(there: string | undefined, isResumable: boolean): void {
    this.#others = isResumable ? undefined : there;
    this.#id = undefined;
    this.#isKnown = false;
  }

  /**
   * The gateway tells of a session, or the server of itself. While the card has the disk the first session is its own; another one
   * is of whoever takes the disk from it, which the server has yet to hear.
   */
  look(there: string | undefined, state: NBDServerState | undefined): void {
    // Whether a link that comes back goes on with the same session is not known.
    if (state === "reconnecting") this.#isKnown = false;
    if (state !== "serving" && state !== "unreadable") return;
    if (this.#isKnown || there === undefined || there === this.#others) return;
    this.#id = there;
    this.#isKnown = true;
  }
}
