import type { StatusDocument } from "../../src/node/gateway/status/document.ts";
import type { Refusal } from "../login/refusal.ts";
import type { NbdMediaElement } from "../media/nbd-media.ts";
import type { OfferedConfiguration } from "./configurations.ts";
import { newsIn, type Slot, slotsOf } from "./slot.ts";

export interface SlotsOptions {
  /** What a card is called. */
  labelOf(slot: Slot): string;
  /** The URL of the WebSocket of a configuration. */
  endpointOf(name: string): string;
  /** What a WebSocket needs to be let in. */
  protocols(): readonly string[];
  /** Why there is no WebSocket. */
  explain(endpoint: string): Promise<Refusal>;
  /** A card is new. */
  onadd(card: NbdMediaElement, name: string): void;
}

/** The cards of a page, one for each place on the other machine. A card that serves stays where it is until that is over. */
export class Slots {
  readonly #list: HTMLElement;
  readonly #options: SlotsOptions;
  readonly #cards = new Map<string, NbdMediaElement>();
  #offered: readonly OfferedConfiguration[] = [];
  #document: StatusDocument | undefined;
  #slots: readonly Slot[] = [];
  #isLocked = false;

  constructor(list: HTMLElement, options: SlotsOptions) {
    this.#list = list;
    this.#options = options;
  }

  get cards(): readonly NbdMediaElement[] {
    return [...this.#cards.values()];
  }

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  /** Whether some of them serve. */
  get isServing(): boolean {
    return this.cards.some(({ state }) => state.isRunning);
  }

  /** What the gateway has offered. */
  get offered(): readonly OfferedConfiguration[] {
    return this.#offered;
  }

  /** What the gateway tells of other configurations than were offered, as a word; undefined if they are the same. */
  get news(): string | undefined {
    return this.#document && newsIn(this.#offered, this.#document);
  }

  card(name: string): NbdMediaElement | undefined {
    return this.#cards.get(name);
  }

  slotOf(card: NbdMediaElement): Slot | undefined {
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

  /** The words for what the cards are called are others. */
  speak(language: string): void {
    for (const card of this.cards) card.lang = language;
    this.#render();
  }

  /** The login is another one, or the network is back. */
  wake(): void {
    for (const card of this.cards) card.wake();
  }

  /** Takes away the cards of what is there no more, once they serve nothing. */
  settle(): void {
    for (const [name, card] of this.#cards) {
      if (this.#slots.some((slot) => slot.name === name) || card.state.isRunning) continue;
      this.#cards.delete(name);
      card.remove();
    }
  }

  #render(): void {
    this.#slots = slotsOf(this.#offered, this.#document);
    this.settle();
    // Backwards, so that a new card knows which one it stands before. One that is there is not moved: that would end it.
    let next: Element | null = null;
    const { labelOf } = this.#options;
    for (const slot of [...this.#slots].reverse()) {
      const card: NbdMediaElement = this.#cards.get(slot.name) ?? this.#make(slot, next);
      const label = labelOf(slot);
      if (card.label !== label) card.label = label;
      if (card.place !== (slot.place ?? "")) card.place = slot.place ?? "";
      card.remote = slot.status;
      // Where somebody tells what goes on, it can be ended too.
      if (card.canEject !== (slot.status !== undefined)) card.canEject = slot.status !== undefined;
      next = card;
    }
    for (const card of this.cards) card.hidden = this.#isLocked && !card.state.isRunning;
  }

  #make({ name }: Slot, next: Element | null): NbdMediaElement {
    const { endpointOf, protocols, explain, onadd } = this.#options;
    const card = document.createElement("nbd-media");
    card.endpoint = endpointOf(name);
    card.protocols = protocols;
    card.explain = explain;
    this.#cards.set(name, card);
    this.#list.insertBefore(card, next);
    onadd(card, name);
    return card;
  }
}
