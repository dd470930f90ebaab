import type { MediaWords } from "../words/media-words.ts";
import { make } from "./make.ts";
import { writeText } from "./only-changes.ts";
import type { Units } from "./units.ts";

const MIB = 1 << 20;

/** Sizes of the cache that are offered, in bytes. */
const CACHES: readonly number[] = [0, 16 * MIB, 64 * MIB, 256 * MIB, 1024 * MIB];

/** What a person may change before a file is served. Others have a place in its slot. */
export class Options {
  readonly element: HTMLDetailsElement;
  readonly #title = make("summary");
  readonly #label = make("label", { for: "cache" });
  readonly #cache = make("select", { part: "cache", "aria-describedby": "cache-help" });
  readonly #help = make("p", { part: "cache-help", class: "quiet" });
  #units: Units | undefined;
  #none = "";

  /** @param onchoice takes the size of the cache, in bytes */
  constructor(onchoice: (cache: number) => void) {
    const field = make("p", { class: "field" }, this.#label, this.#cache);
    const slot = make("slot", { name: "options" });
    this.element = make("details", { part: "options" }, this.#title, field, this.#help, slot);
    this.#cache.addEventListener("change", () => onchoice(Number(this.#cache.value)));
  }

  speak(words: MediaWords, units: Units): void {
    this.#units = units;
    this.#none = words.options.none;
    writeText(this.#title, words.options.title);
    writeText(this.#label, words.options.cache);
    this.#cache.replaceChildren();
  }

  show(cache: number, isRunning: boolean, words: MediaWords): void {
    const isOffered = [...this.#cache.options].some(({ value }) => Number(value) === cache);
    if (!isOffered) {
      const sizes = [...new Set([...CACHES, cache])].sort((a, b) => a - b);
      const names = sizes.map((size) => (size === 0 ? this.#none : this.#units!.bytes(size)));
      this.#cache.replaceChildren(...sizes.map((size, i) => new Option(names[i], String(size))));
    }
    if (Number(this.#cache.value) !== cache) this.#cache.value = String(cache);
    if (this.#cache.disabled !== isRunning) this.#cache.disabled = isRunning;
    writeText(this.#help, isRunning ? words.options.whileServing : words.options.cacheHelp);
  }
}
