import { droppedIn } from "../keeping/dropped.ts";
import { type FileHandle, hasPicker, pickFile } from "../keeping/file-handle.ts";
import { hostOf, isWebFile, type Source, type WebFile } from "../serving/source.ts";
import type { MediaWords } from "../words/media-words.ts";
import { AddressField } from "./address-field.ts";
import { make } from "./make.ts";
import { NameView } from "./name-view.ts";
import { writeAttribute, writeOptional, writeText } from "./only-changes.ts";
import type { Units } from "./units.ts";

/** A file that a person has given. */
export interface Given {
  readonly file: File;
  readonly handle: FileHandle | undefined;
  readonly isFolder: boolean;
}

export interface DropZoneEvents {
  ongiven(given: Given): void;
  /** An address was given: any text. */
  onurl(url: string): void;
  /** The browser's own way to choose a file has failed. */
  onfault(error: unknown): void;
}

/** Where a file is chosen, or dropped, or an address given. Other sources have a place in its slot. */
export class DropZone {
  readonly input = make("input", {
    part: "file",
    type: "file",
    "aria-labelledby": "file-label file-name",
    "aria-describedby": "file-size",
  });
  readonly address: AddressField;
  readonly element: HTMLElement;
  readonly #label = make("span", { part: "file-label" });
  readonly #name = new NameView();
  readonly #size = make("span", { part: "file-size" });
  readonly #said = make("p", { part: "drop-hint", role: "status", hidden: true });
  readonly #events: DropZoneEvents;
  #words: MediaWords | undefined;
  /** Why what was dropped last was not taken. */
  #hint: "isServing" | "oneByOne" | undefined;

  constructor(events: DropZoneEvents) {
    this.#events = events;
    this.address = new AddressField(events.onurl);
    const field = make(
      "label",
      { part: "drop", for: "file" },
      ...[this.input, this.#name.element, this.#size, this.#label],
    );
    const others = make("slot", { name: "sources" });
    this.element = make("div", { class: "sources" }, field, this.#said, this.address.element, others);
    const { input } = this;
    input.addEventListener("click", (event) => {
      if (hasPicker) {
        event.preventDefault();
        void this.#pick();
      }
      // So that a file that has changed can be chosen again: the browser would see no change.
      else input.value = "";
    });
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (file) this.#give({ file, handle: undefined, isFolder: false });
    });
  }

  /** Has files dropped anywhere on an element. What it adds there goes with the element. */
  takeDropsOn(target: EventTarget): void {
    for (const type of ["dragenter", "dragover"] as const) {
      target.addEventListener(type, (event) => {
        event.preventDefault();
        writeAttribute(this.element, "data-over", this.input.disabled ? undefined : "");
      });
    }
    target.addEventListener("dragleave", () => writeAttribute(this.element, "data-over", undefined));
    target.addEventListener("drop", (event) => {
      event.preventDefault();
      writeAttribute(this.element, "data-over", undefined);
      void this.#drop((event as DragEvent).dataTransfer);
    });
  }

  show(
    file: Source | undefined,
    isFolder: boolean,
    isRunning: boolean,
    words: MediaWords,
    units: Units,
  ): void {
    this.#name.show(file?.name);
    const exact = file && words.bytes(units.count(file.size));
    const length = file && (file.size < 1024 ? exact! : `${units.bytes(file.size)} (${exact})`);
    const size = file && isWebFile(file) ? fromWeb(file, length, words) : length;
    writeText(this.#size, isFolder ? "" : (size ?? words.onlyRead));
    writeText(this.#label, file ? (isRunning ? "" : words.chooseAnother) : words.choose);
    writeAttribute(this.element, "data-chosen", file && "");
    this.#words = words;
    // What was a reason is none after serving has begun, or ended.
    if (this.input.disabled !== isRunning) this.#hint = undefined;
    writeOptional(this.#said, this.#hint && words.drop[this.#hint]);
    if (this.input.disabled !== isRunning) this.input.disabled = isRunning;
    this.address.show(file, isRunning, words);
  }

  async #pick(): Promise<void> {
    try {
      const handle = await pickFile();
      if (handle) this.#give({ file: await handle.getFile(), handle, isFolder: false });
    } catch (error) {
      this.#events.onfault(error);
    }
  }

  async #drop(data: DataTransfer | null): Promise<void> {
    const dropped = await droppedIn(data);
    if (!dropped) return;
    if (this.input.disabled) this.#hint = "isServing";
    else if (dropped.count > 1) this.#hint = "oneByOne";
    else return this.#give(dropped);
    writeOptional(this.#said, this.#words?.drop[this.#hint]);
  }

  #give(given: Given): void {
    if (this.input.disabled) return;
    this.#hint = undefined;
    this.#events.ongiven(given);
  }
}

/** @param length in words, which nobody knows before the address is looked at */
function fromWeb(file: WebFile, length: string | undefined, { address }: MediaWords): string {
  const host = hostOf(file);
  if (host === "") return "";
  const from = address.from(host);
  return file.size === 0 ? from : `${length}, ${from}`;
}
