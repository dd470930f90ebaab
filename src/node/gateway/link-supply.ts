import { randomBytes } from "node:crypto";
import { type Deferred, deferred } from "../../streams/deferred.ts";
import type { Transport } from "../../streams/duplex.ts";
import type { BegunLink } from "../session/links.ts";
import { untilAborted } from "../until-aborted.ts";

/** Bytes of a resume key. */
const KEY = 16;

/**
 * The links of one session: the first, and those that are offered later. Its key is told to the other side of the first link,
 * and to nobody else: who shows it is that side, with a new link.
 */
export class LinkSupply {
  /** What only the other side of this session knows, in base64url. */
  readonly key = randomBytes(KEY).toString("base64url");
  #first: Transport | undefined;
  #waiting: BegunLink | undefined;
  #news: Deferred<void> = deferred();
  /** With what links are refused from now on. */
  #end: Error | undefined;

  constructor(first: Transport | BegunLink) {
    if ("handshake" in first) this.#waiting = first;
    else this.#first = first;
  }

  /** Gives the links, as a session asks for them. */
  readonly links = async (signal: AbortSignal): Promise<Transport | BegunLink | undefined> => {
    for (;;) {
      const link = this.#first ?? this.#waiting;
      this.#first = undefined;
      this.#waiting = undefined;
      if (link || signal.aborted) return link;
      this.#news = deferred();
      await untilAborted(this.#news.promise, signal);
    }
  };

  /** Gives a link to the session. One that the session has not asked for yet is refused in its favour. */
  offer(link: BegunLink): void {
    if (this.#end) {
      link.refuse(this.#end);
      return;
    }
    this.#waiting?.refuse(link.succession);
    this.#waiting = link;
    this.#news.resolve();
  }

  /** The session has ended: refuses a link that it has not taken, and all that come. */
  end(reason: Error): void {
    this.#end = reason;
    this.#waiting?.refuse(reason);
    this.#waiting = undefined;
  }
}
