import type { LogLine } from "../serving/report.ts";
import type { MediaWords } from "../words/media-words.ts";
import { make } from "./make.ts";
import { writeText } from "./only-changes.ts";
import type { Units } from "./units.ts";

/** Lines that are kept. An endless log makes a page slow. */
const LINES = 500;

/** Pixels from its end within which the list follows what is added. */
const AT_END = 4;

/** A log that is shown in a fold, and saved as a file. */
export class EventLog {
  readonly element: HTMLDetailsElement;
  readonly #title = make("summary");
  // What scrolls must be reachable by keyboard; not every browser sees to that itself.
  readonly #list = make("ol", { part: "log", tabindex: "0", "aria-labelledby": "log-title" });
  readonly #empty = make("p", { class: "quiet" });
  readonly #save = make("button", { part: "save-log", type: "button" });
  readonly #lines: LogLine[] = [];
  #words: MediaWords | undefined;
  #units: Units | undefined;

  constructor() {
    this.#title.id = "log-title";
    this.element = make("details", { part: "log-fold" }, this.#title, this.#empty, this.#list, this.#save);
    this.#save.addEventListener("click", () => this.#saveAll());
    this.#showEmptiness();
  }

  add(lines: readonly LogLine[]): void {
    if (lines.length === 0) return;
    const { scrollHeight, scrollTop, clientHeight } = this.#list;
    const isAtEnd = scrollHeight - scrollTop - clientHeight <= AT_END;
    const fresh = lines.slice(-LINES);
    this.#lines.push(...fresh);
    this.#list.append(...fresh.map((line) => this.#item(line)));
    const excess = Math.max(0, this.#lines.length - LINES);
    this.#lines.splice(0, excess);
    for (let i = 0; i < excess; i++) this.#list.firstElementChild?.remove();
    this.#showEmptiness();
    if (isAtEnd) this.#list.scrollTop = this.#list.scrollHeight;
  }

  /** Speaks another language. */
  speak(words: MediaWords, units: Units): void {
    this.#words = words;
    this.#units = units;
    writeText(this.#title, words.log.title);
    writeText(this.#empty, words.log.empty);
    writeText(this.#save, words.log.save);
    this.#list.replaceChildren(...this.#lines.map((line) => this.#item(line)));
  }

  #item({ at, level, text }: LogLine): HTMLElement {
    const time = make("time", { datetime: new Date(at).toISOString() }, this.#units?.clock(at) ?? "");
    const children = [time, make("span", { class: "level" }, this.#words?.log.levels[level] ?? level), text];
    return make("li", { "data-level": level }, ...children.flatMap((child) => [child, " "]).slice(0, -1));
  }

  #showEmptiness(): void {
    const isEmpty = this.#lines.length === 0;
    this.#empty.hidden = !isEmpty;
    this.#list.hidden = isEmpty;
    this.#save.hidden = isEmpty;
  }

  #saveAll(): void {
    const lines = this.#lines.map(
      ({ at, level, text }) => `${new Date(at).toISOString()} ${level} ${text}\n`,
    );
    const url = URL.createObjectURL(new Blob(lines, { type: "text/plain" }));
    const name = `nbd-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.log`;
    make("a", { href: url, download: name }).click();
    // The browser has begun to read it then.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}
