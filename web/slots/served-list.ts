import { messageOf } from "../../src/streams/message-of.ts";
import { fileOf } from "../keeping/file-handle.ts";
import { forget, type KeptServed, listServed } from "../keeping/served-before.ts";
import type { NbdMediaElement } from "../media/nbd-media.ts";
import { shownNameText } from "../media/shown-name.ts";
import type { PageWords } from "../words/page-words.ts";
import { ServedItem } from "./served-item.ts";

export interface ServedListOptions {
  /** The gateway; see `ServedBefore`. */
  gateway(): { readonly path: string; readonly host: string };
  words(): PageWords;
  /** Whether it may be seen: there is a login, or none is needed. */
  isOpen(): boolean;
  /** The card of a configuration, and what it is called; undefined if there is none. */
  cardOf(configuration: string): { readonly card: NbdMediaElement; readonly label: string } | undefined;
  /** Something is to be said. */
  say(text: string): void;
}

/** What was served before at this gateway: with one click it is served again. */
export class ServedList {
  readonly #section: HTMLElement;
  readonly #list: HTMLElement;
  readonly #all: HTMLButtonElement;
  readonly #options: ServedListOptions;
  readonly #items = new Map<IDBValidKey, ServedItem>();
  #kept: readonly KeptServed[] = [];

  /** @param section with a list, and a button that forgets all of it; it is hidden while there is nothing to list */
  constructor(section: HTMLElement, options: ServedListOptions) {
    this.#section = section;
    this.#list = section.querySelector("ul")!;
    this.#options = options;
    this.#all = section.querySelector("button")!;
    this.#all.addEventListener("click", () => void this.#forget());
  }

  /** Shows what is kept by now, if it may be seen. */
  async look(): Promise<void> {
    this.#kept = await listServed(this.#options.gateway());
    this.show();
  }

  /** Shows what was kept at the last look, and what can be done with it by now. */
  show(): void {
    const { words, cardOf, isOpen } = this.#options;
    const kept = this.#kept;
    const keys = new Set(kept.map(({ key }) => key));
    const { activeElement } = document;
    const hadFocus = this.#list.contains(activeElement);
    for (const [key, { element }] of this.#items) {
      if (keys.has(key)) continue;
      this.#items.delete(key);
      element.remove();
    }
    kept.forEach((one, i) => {
      const item = this.#items.get(one.key) ?? this.#add(one.key);
      const { card, label } = cardOf(one.configuration) ?? {};
      item.show(one, label, card !== undefined && !card.state.isRunning, words());
      // What is moved loses the focus.
      if (this.#list.children[i] !== item.element)
        this.#list.insertBefore(item.element, this.#list.children[i] ?? null);
    });
    this.#all.hidden = kept.length < 2;
    this.#section.hidden = kept.length === 0 || !isOpen();
    if (hadFocus && document.activeElement !== activeElement) this.#focus(activeElement);
  }

  /** A keyboard user goes on where they were, or at the heading. */
  #focus(lost: Element | null): void {
    const button = lost instanceof HTMLButtonElement && lost.isConnected && !lost.disabled ? lost : undefined;
    (button ?? this.#section.querySelector("h2")!).focus();
  }

  #add(key: IDBValidKey): ServedItem {
    const find = () => this.#kept.filter((one) => one.key === key);
    const item = new ServedItem({
      onserve: () => find().forEach((one) => void this.#serve(one)),
      onforget: () => void this.#forget(find()),
    });
    this.#items.set(key, item);
    return item;
  }

  async #serve({ configuration, handle, name }: KeptServed): Promise<void> {
    const { cardOf, words, say } = this.#options;
    try {
      const file = await fileOf(handle);
      const { card } = cardOf(configuration) ?? {};
      if (!card || card.state.isRunning) return;
      card.choose(file, handle);
      card.serve();
      card.scrollIntoView({ block: "nearest" });
    } catch (error) {
      say(words().before.cannot(shownNameText(name), messageOf(error)));
    }
  }

  async #forget(some?: readonly KeptServed[]): Promise<void> {
    await forget(some ?? (await listServed(this.#options.gateway())));
    await this.look();
  }
}
