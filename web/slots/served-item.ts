import type { ServedBefore } from "../keeping/served-before.ts";
import { shownNameText } from "../media/shown-name.ts";
import { Units } from "../media/units.ts";
import type { PageWords } from "../words/page-words.ts";

export interface ServedItemEvents {
  onserve(): void;
  onforget(): void;
}

/** A line for a file that was served before. */
export class ServedItem {
  readonly element = document.createElement("li");
  readonly #name = document.createElement("strong");
  readonly #about = document.createElement("span");
  readonly #serve: HTMLButtonElement;
  readonly #forget: HTMLButtonElement;
  #shown = "";

  constructor({ onserve, onforget }: ServedItemEvents) {
    this.#serve = button(onserve);
    this.#forget = button(onforget);
    this.element.append(this.#name, this.#about, this.#serve, this.#forget);
  }

  /** @param label of the drive; undefined: it is not offered any more */
  show(served: ServedBefore, label: string | undefined, isEnabled: boolean, { before, language }: PageWords) {
    if (this.#serve.disabled === isEnabled) this.#serve.disabled = !isEnabled;
    const shown = JSON.stringify([served.at, label, language]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const file = shownNameText(served.name);
    const drive = label ?? served.configuration;
    const when = new Date(served.at).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
    this.#name.textContent = file;
    const about = before.about(new Units(language).bytes(served.size), drive, when);
    this.#about.textContent = label === undefined ? `${about}. ${before.gone}` : about;
    write(this.#serve, before.serveShort, before.serve(file, drive));
    write(this.#forget, before.forgetShort, before.forget(file));
  }
}

function button(onclick: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.addEventListener("click", onclick);
  return made;
}

/** @param name for those who do not see where it stands */
function write(button: HTMLButtonElement, text: string, name: string): void {
  button.textContent = text;
  button.setAttribute("aria-label", name);
}
