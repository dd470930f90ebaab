import { make } from "./make.ts";
import { type NamePart, shownName } from "./shown-name.ts";

/** Shows the name of a file in an element such that it cannot disguise itself. */
export class NameView {
  readonly element: HTMLElement = make("strong", { part: "file-name", dir: "ltr" });
  #shown: string | undefined;

  /** @param name undefined: none */
  show(name: string | undefined): void {
    if (name === this.#shown) return;
    this.#shown = name;
    this.element.hidden = name === undefined;
    const { stem, ending } = shownName(name ?? "");
    this.element.replaceChildren(isolated(stem, "auto"), isolated(ending, "ltr"));
  }
}

function isolated(parts: readonly NamePart[], direction: "auto" | "ltr"): HTMLElement {
  const children = parts.map(({ text, isEscape }) =>
    isEscape ? make("span", { class: "escape" }, text) : text,
  );
  return make("bdi", { dir: direction }, ...children);
}
