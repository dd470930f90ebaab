import type { FileHandle } from "../keeping/file-handle.ts";
import type { MediaState, NbdMediaElement } from "../media/nbd-media.ts";
import { shownNameText } from "../media/shown-name.ts";
import type { Kind } from "../media/situation.ts";
import type { CardState } from "./overall.ts";

/** The other machine has the disk of this page, or will have it again when the link is back. */
const ATTACHED: readonly Kind[] = ["attached", "serving", "unreadable", "lost", "gateway-gone"];

/** What is about somebody else, or about nothing yet. */
const NOT_OURS: readonly Kind[] = ["free", "held", "ready"];

/** Serving has stopped, or readers get errors, and nobody here has wanted that. */
const TROUBLE: readonly Kind[] = [
  "unreadable",
  "gateway-gone",
  "ejected",
  "given-up",
  "taken-over",
  "another-medium",
  "refused",
  "failed",
];

export interface CardEvents {
  /** Something is different on a card. */
  onstate(): void;
  /** A card has begun to serve. */
  onattached(card: NbdMediaElement, file: File, handle: FileHandle | undefined): void;
  /** Serving has stopped without being asked to. */
  ontrouble(card: NbdMediaElement, headline: string): void;
  /** The other machine waits for another file than the one that a card has tried to serve. */
  onother(card: NbdMediaElement): void;
  /** Another file is on a card. */
  onchosen(): void;
  /** A person wants to eject what somebody else serves. */
  oneject(card: NbdMediaElement): void;
  /** A WebSocket is refused for want of a login. */
  onlogin(): void;
}

/** What the cards have told, by card. */
export class CardsTold {
  readonly #events: CardEvents;
  readonly #news = new WeakMap<NbdMediaElement, MediaState>();
  readonly #handles = new WeakMap<NbdMediaElement, FileHandle | undefined>();

  constructor(events: CardEvents) {
    this.#events = events;
  }

  /** Listens to a card, for as long as there is one. */
  listen(card: NbdMediaElement): void {
    card.addEventListener("nbd-state", ({ detail }) => this.#take(card, detail));
    card.addEventListener("nbd-chosen", ({ detail }) => {
      this.#handles.set(card, detail.handle);
      this.#events.onchosen();
    });
    card.addEventListener("nbd-eject", () => this.#events.oneject(card));
    card.addEventListener("nbd-login", () => this.#events.onlogin());
  }

  /** What a card is at, for the tab's title. */
  stateOf(card: NbdMediaElement): CardState | undefined {
    const news = this.#news.get(card);
    if (!news) return undefined;
    const { kind, tone, headline } = news;
    const file = card.source && shownNameText(card.source.name);
    return { tone, headline, file, isOurs: !NOT_OURS.includes(kind) };
  }

  #take(card: NbdMediaElement, news: MediaState): void {
    const before = this.#news.get(card)?.kind ?? "free";
    this.#news.set(card, news);
    const { kind, headline } = news;
    const wasAttached = ATTACHED.includes(before);
    if (!wasAttached && ATTACHED.includes(kind) && card.file) {
      this.#events.onattached(card, card.file, this.#handles.get(card));
    }
    if (wasAttached && kind !== before && TROUBLE.includes(kind)) this.#events.ontrouble(card, headline);
    if (kind === "another-medium" && before !== kind) this.#events.onother(card);
    this.#events.onstate();
  }
}
