import type { StatusDocument } from "../../src/node/gateway/status/document.ts";
import type { OfferedConfiguration } from "./configurations.ts";
import type { MediaCard } from "./media-card.ts";
import { newsIn, type Slot, slotsOf } from "./slot.ts";

export interface SlotsOptions {
  /** The URL of the WebSocket of a configuration. */
  endpointOf(name: string): string;
  /** What a WebSocket needs to be let in. */
  protocols(): readonly string[];
  /** A card is new. */
  onadd(card: MediaCard, name: string): void;
}

/** The cards of a page, one for each place on the other machine. A card that serves stays where it is until that is over. */
export class Slots {
  readonly #list: HTMLElement;
  readonly #options: SlotsOptions;
  readonly #cards = new Map<string, MediaCard>();
  #offered: readonly OfferedConfiguration[] = [];
  #document: StatusDocument | undefined;
  #slots: readonly Slot[] = [];
  #isLocked = false;

  constructor(list: HTMLElement, options: SlotsOptions) {
    this.#list = list;
    this.#options = options;
  }

  get cards(): readonly MediaCard[] {
    return [...this.#cards.values()];
  }

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  /** Whether some of them serve. */
  get isServing(): boolean {
    return this.cards.some(({ isRunning }) => isRunning);
  }

  /** What the gateway tells of other configurations than were offered, as a word; undefined if they are the same. */
  get news(): string | undefined {
    return this.#document && newsIn(this.#offered, this.#document);
  }

  card(name: string): MediaCard | undefined {
    return this.#cards.get(name);
  }

  slotOf(card: MediaCard): Slot | undefined {
    return this.#slots.find(({ name }) => this.#cards.get(name) === card);
  }

  /** Takes what the gateway offers. */
  offer(offered: readonly OfferedConfiguration[]): void {
    this.#offered = offered;
    this.#render();
  }

  /** Takes what goes on at the gateway. */
  tell(document: StatusDocument): void {
    this.#document = document;
    this.#render();
  }

  /** While a login is missing only what serves is shown. */
  lock(isLocked: boolean): void {
    this.#isLocked = isLocked;
    this.#render();
  }

  /** The login is another one, or the network is back. */
  wake(): void {
    for (const card of this.cards) {
      card.protocols = this.#options.protocols();
      card.wake();
    }
  }

  #render(): void {
    this.#slots = slotsOf(this.#offered, this.#document);
    const names = new Set(this.#slots.map(({ name }) => name));
    for (const [name, card] of this.#cards) {
      if (names.has(name) || card.isRunning) continue;
      this.#cards.delete(name);
      card.remove();
    }
    // Backwards, so that a new card knows which one it stands before. One that is there is not moved: that would end it.
    let next: Element | null = null;
    for (const slot of [...this.#slots].reverse()) {
      const card: MediaCard = this.#cards.get(slot.name) ?? this.#make(slot, next);
      if (card.label !== slot.label) card.label = slot.label;
      if (card.place !== (slot.place ?? "")) card.place = slot.place ?? "";
      card.remote = slot.status;
      next = card;
    }
    for (const card of this.cards) card.hidden = this.#isLocked && !card.isRunning;
  }

  #make({ name, label }: Slot, next: Element | null): MediaCard {
    const card = document.createElement("nbd-media") as MediaCard;
    card.endpoint = this.#options.endpointOf(name);
    card.label = label;
    card.protocols = this.#options.protocols();
    this.#cards.set(name, card);
    this.#list.insertBefore(card, next);
    this.#options.onadd(card, name);
    return card;
  }
}
