import type { Tone } from "../media/situation.ts";
import { type CardState, overall } from "./overall.ts";

/** Files of icons: the browser draws no other ones of a page that allows no `data:` URLs. */
const ICONS: Readonly<Record<Tone, string>> = {
  quiet: "icon.svg",
  busy: "icons/busy.svg",
  good: "icons/good.svg",
  warning: "icons/warning.svg",
  bad: "icons/bad.svg",
};

export interface TabWords {
  readonly title: string;
  one(headline: string, file: string | undefined): string;
  several(headline: string, count: number): string;
}

/** The title and the icon of this tab. */
export class TabFace {
  readonly #icon: HTMLLinkElement;

  /** @param icon `<link rel="icon">` */
  constructor(icon: HTMLLinkElement) {
    this.#icon = icon;
  }

  /** Shows what all cards are at together. */
  show(states: readonly CardState[], words: TabWords): void {
    const { tone, first, count } = overall(states);
    const about =
      first && (count > 1 ? words.several(first.headline, count) : words.one(first.headline, first.file));
    const title = about === undefined ? words.title : `${about} – ${words.title}`;
    // What is set anew is drawn anew, even if it stays the same.
    if (document.title !== title) document.title = title;
    if (this.#icon.getAttribute("href") !== ICONS[tone]) this.#icon.setAttribute("href", ICONS[tone]);
  }
}
