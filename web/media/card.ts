import type { MediaWords } from "../words/media-words.ts";
import { type Action, type Label, type Offer, offersIn } from "./actions.ts";
import { BlockMapView } from "./block-map-view.ts";
import type { Chosen, Run } from "./drive.ts";
import { DropZone, type DropZoneEvents } from "./drop-zone.ts";
import { EventLog } from "./event-log.ts";
import { Figures } from "./figures.ts";
import { make } from "./make.ts";
import { writeAttribute, writeHidden, writeOptional, writeText } from "./only-changes.ts";
import { Options } from "./options.ts";
import { Presses } from "./presses.ts";
import { type Situation, toneOf } from "./situation.ts";
import type { Units } from "./units.ts";

export interface CardEvents extends DropZoneEvents {
  onaction(action: Action): void;
  /** @param cache in bytes */
  oncache(cache: number): void;
}

/** All that a card shows. */
export interface View {
  readonly label: string;
  readonly place: string;
  readonly situation: Situation;
  readonly chosen: Chosen | undefined;
  readonly run: Run | undefined;
  readonly isRunning: boolean;
  readonly isServable: boolean;
  readonly canEject: boolean;
  /** In bytes. */
  readonly cache: number;
}

/** Buttons in the order of the page. */
const ACTIONS: readonly Action[] = ["go-on", "serve", "stop", "take-over", "eject"];

const LABELS: Readonly<Record<Label, (words: MediaWords) => string>> = {
  serve: (words) => words.serve,
  serveAgain: (words) => words.serveAgain,
  serveInstead: (words) => words.serveInstead,
  eject: (words) => words.eject,
  takeOver: (words) => words.takeOver,
  goOn: (words) => words.goOn,
};

/** The elements of a card. It shows what it is given, and writes only what has changed. */
export class Card {
  readonly log = new EventLog();
  readonly figures = new Figures();
  readonly #root: ShadowRoot;
  readonly #zone: DropZone;
  readonly #map = new BlockMapView();
  readonly #options: Options;
  readonly #label = make("h2", { part: "label" });
  readonly #place = make("p", { part: "place", class: "quiet" });
  /** Says which card speaks. */
  readonly #speaker = make("span", { class: "spoken" });
  readonly #state = make("p", { part: "state" });
  readonly #detail = make("p", { part: "detail" });
  readonly #remedy = make("p", { part: "remedy" });
  readonly #lastRead = make("p", { part: "last-read", class: "quiet" });
  readonly #buttons: ReadonlyMap<Action, HTMLButtonElement>;
  readonly #card: HTMLElement;
  #words: MediaWords | undefined;
  #run: Run | undefined;
  /** Whether what had the focus cannot have it, and nothing else could yet. */
  #hasLostFocus = false;

  constructor(root: ShadowRoot, events: CardEvents) {
    this.#root = root;
    this.#zone = new DropZone(events);
    this.#options = new Options(events.oncache);
    const presses = new Presses();
    this.#buttons = new Map(
      ACTIONS.map((action) => {
        const button = make("button", { part: action, type: "button", hidden: true });
        presses.listen(button, () => events.onaction(action));
        return [action, button];
      }),
    );
    const texts = make("div", {}, this.#state, this.#detail, this.#remedy);
    const status = make(
      "div",
      { part: "status", role: "status", "aria-atomic": "true" },
      this.#speaker,
      texts,
    );
    const buttons = make("p", { part: "buttons" }, ...this.#buttons.values());
    this.#card = make(
      "section",
      { part: "card", "aria-labelledby": "label" },
      make("header", { part: "header" }, this.#label, this.#place),
      make("div", { class: "situation" }, status, this.#lastRead),
      make("div", { class: "act" }, this.#zone.element, buttons),
      this.figures.element,
      this.#map.element,
      make("div", { class: "folds" }, this.#options.element, this.log.element),
    );
    // With its events, which the zone knows: those of the whole card, as a file that is dropped beside it opens in the page's place.
    this.#zone.takeDropsOn(this.#card);
    root.append(this.#card);
  }

  render(view: View, words: MediaWords, units: Units): void {
    if (this.#words !== words) this.#speak(words, units);
    const { situation, run, chosen, isRunning } = view;
    if (run && run !== this.#run) this.figures.clear();
    this.#run = run;
    const focused = this.#root.activeElement;
    const label = view.label || words.drive;
    writeText(this.#label, label);
    writeText(this.#speaker, `${label}: `);
    writeOptional(this.#place, view.place && words.on(view.place));
    writeAttribute(this.#card, "data-tone", toneOf(situation));
    writeAttribute(this.#state, "data-state", situation.kind);
    const told = toldOf(situation, words, units);
    writeText(this.#state, told.headline);
    writeOptional(this.#detail, told.cause);
    writeOptional(this.#remedy, told.remedy);
    const report = run?.report;
    const lastReadAt = report?.lastReadAt;
    writeOptional(
      this.#lastRead,
      lastReadAt === undefined ? undefined : words.lastRead(units.clock(lastReadAt)),
    );
    this.#zone.show(chosen?.file, chosen?.isFolder ?? false, isRunning, words, units);
    this.#showOffers(offersIn(situation, view), words);
    this.#options.show(view.cache, isRunning, words);
    const size = run?.file.size ?? 0;
    this.figures.show(report && { report, isRunning, size, servedSince: run?.servedSince }, words, units);
    const covered = size > 0 ? Math.min(1, (report?.totals.bytesCovered ?? 0) / size) : 0;
    this.#map.show(run?.map, size, covered, words, units);
    this.#keepFocus(focused);
  }

  /** The width or the colours may be different. */
  refresh(): void {
    this.figures.refresh();
    this.#map.refresh();
  }

  /** Ends what it draws with. */
  end(): void {
    this.figures.end();
    this.#map.end();
  }

  #speak(words: MediaWords, units: Units): void {
    this.#words = words;
    writeAttribute(this.#card, "lang", words.language);
    this.log.speak(words, units);
    this.#options.speak(words, units);
  }

  #showOffers(offers: readonly Offer[], words: MediaWords): void {
    for (const [action, button] of this.#buttons) {
      const offer = offers.find((one) => one.action === action);
      if (offer) {
        writeText(button, LABELS[offer.label](words));
        if (button.disabled === offer.isEnabled) button.disabled = !offer.isEnabled;
        writeAttribute(button, "data-main", offer.isMain ? "" : undefined);
      }
      writeHidden(button, !offer);
    }
  }

  /** A button that goes, or cannot be used, loses the focus; a keyboard user would have to look for it. */
  #keepFocus(focused: Element | null): void {
    const isLost = ({ disabled, hidden }: HTMLButtonElement | HTMLInputElement) =>
      disabled || hidden !== false;
    const { input, address } = this.#zone;
    const places = [...this.#buttons.values(), input, address.input, address.button];
    const was = places.find((place) => place === focused);
    if (was) this.#hasLostFocus = isLost(was);
    // Meanwhile a person may have gone elsewhere.
    else if (focused || document.activeElement !== document.body) this.#hasLostFocus = false;
    if (!this.#hasLostFocus) return;
    const next = places.find((place) => !isLost(place));
    next?.focus();
    this.#hasLostFocus = !next;
  }
}

/** What a situation is called, why it is there, and what to do. */
export function toldOf<S extends Situation>(situation: S, words: MediaWords, units: Units) {
  const tell = words.situation[situation.kind] as (
    one: S,
    units: Units,
  ) => ReturnType<MediaWords["situation"]["ready"]>;
  return tell(situation, units);
}
