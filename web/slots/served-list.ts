import { messageOf } from "../../src/streams/message-of.ts";
import { fileOf } from "../keeping/file-handle.ts";
import { forget, type KeptServed, listServed } from "../keeping/served-before.ts";
import type { NbdMediaElement } from "../media/nbd-media.ts";
import { shownNameText } from "../media/shown-name.ts";
import { Units } from "../media/units.ts";
import type { PageWords } from "../words/page-words.ts";

export interface ServedListOptions {
  /** The gateway; see `ServedBefore`. */
  gateway(): { readonly path: string; readonly host: string };
  words(): PageWords;
  /** The card of a configuration, and what it is called; undefined if there is none. */
  cardOf(configuration: string): { readonly card: NbdMediaElement; readonly label: string } | undefined;
  /** Something is to be said. */
  say(text: string): void;
}

/** What was served before at this gateway: with one click it is served again. */
export class ServedList {
  readonly #section: HTMLElement;
  readonly #list: HTMLElement;
  readonly #options: ServedListOptions;
  #kept: readonly KeptServed[] = [];
  #shown = "";

  /** @param section with a list, and a button that forgets all of it; it is hidden while there is nothing to list */
  constructor(section: HTMLElement, options: ServedListOptions) {
    this.#section = section;
    this.#list = section.querySelector("ul")!;
    this.#options = options;
    section.querySelector("button")!.addEventListener("click", () => void this.#forget());
  }

  /** Shows what is kept by now. */
  async look(): Promise<void> {
    this.#kept = await listServed(this.#options.gateway());
    this.show();
  }

  /** Shows what was kept at the last look, and what can be done with it by now. */
  show(): void {
    const { words, cardOf } = this.#options;
    const kept = this.#kept;
    const items = kept.map((one) => {
      const { card, label } = cardOf(one.configuration) ?? {};
      return { one, label, isEnabled: card !== undefined && !card.state.isRunning };
    });
    // What is made anew loses the focus.
    const shown = JSON.stringify([
      words().language,
      items.map(({ one, label, isEnabled }) => [one.key, one.at, label, isEnabled]),
    ]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = this.#list.contains(document.activeElement) ? document.activeElement : undefined;
    this.#section.hidden = kept.length === 0;
    this.#list.replaceChildren(
      ...items.map(({ one, label, isEnabled }) => this.#item(one, label, isEnabled)),
    );
    if (focused) this.#focus(focused.getAttribute("aria-label"));
  }

  /** A keyboard user goes on where they were: at the button of that name, or at the heading. */
  #focus(name: string | null): void {
    const buttons = [...this.#list.querySelectorAll("button")];
    const same = buttons.find((one) => one.getAttribute("aria-label") === name && !one.disabled);
    (same ?? this.#section.querySelector("h2")!).focus();
  }

  #item(served: KeptServed, label: string | undefined, isEnabled: boolean): HTMLElement {
    const words = this.#options.words();
    const { before, language } = words;
    const file = shownNameText(served.name);
    const drive = label ?? served.configuration;
    const when = new Date(served.at).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
    const name = document.createElement("strong");
    name.textContent = file;
    const about = document.createElement("span");
    about.textContent = before.about(new Units(language).bytes(served.size), drive, when);
    const serve = button(before.serveShort, before.serve(file, drive));
    serve.disabled = !isEnabled;
    if (label === undefined) serve.title = before.gone;
    serve.addEventListener("click", () => void this.#serve(served));
    const drop = button(before.forgetShort, before.forget(file));
    drop.addEventListener("click", () => void this.#forget([served]));
    const item = document.createElement("li");
    item.append(name, about, serve, drop);
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

function button(text: string, name: string): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-label", name);
  return made;
}
