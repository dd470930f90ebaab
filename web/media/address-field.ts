import { isWebFile, type Source } from "../serving/source.ts";
import type { MediaWords } from "../words/media-words.ts";
import { make } from "./make.ts";
import { writeText } from "./only-changes.ts";

/** Where the address of an image is given, in place of a file. */
export class AddressField {
  readonly input = make("input", {
    part: "url",
    type: "url",
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
  });
  readonly button = make("button", { part: "use-url", type: "submit" });
  readonly element: HTMLElement;
  readonly #label = make("label", { part: "url-label", for: "url" });
  #shown: Source | undefined;

  /** @param onurl called with what was given, whatever it is */
  constructor(onurl: (url: string) => void) {
    const { input, button } = this;
    // What is wrong with an address the card says.
    const form = make("form", { part: "address", novalidate: true }, this.#label, input, button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const url = input.value.trim();
      if (url !== "" && !input.disabled) onurl(url);
    });
    this.element = form;
  }

  show(chosen: Source | undefined, isRunning: boolean, { address }: MediaWords): void {
    writeText(this.#label, address.label);
    writeText(this.button, address.use);
    for (const control of [this.input, this.button]) {
      if (control.disabled !== isRunning) control.disabled = isRunning;
    }
    if (chosen === this.#shown) return;
    this.#shown = chosen;
    // What somebody types meanwhile stays.
    const url = chosen && (isWebFile(chosen) ? chosen.url : "");
    if (url !== undefined && url !== this.input.value) this.input.value = url;
  }
}
