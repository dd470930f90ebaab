import { droppedHandle, type FileHandle, hasPicker, pickFile } from "../keeping/file-handle.ts";
import type { MediaWords } from "../words/media-words.ts";
import { make } from "./make.ts";
import { NameView } from "./name-view.ts";
import { writeAttribute, writeText } from "./only-changes.ts";
import type { Units } from "./units.ts";

/** A file that a person has given. */
export interface Given {
  readonly file: File;
  readonly handle: FileHandle | undefined;
  readonly isFolder: boolean;
}

export interface DropZoneEvents {
  ongiven(given: Given): void;
  /** The browser's own way to choose a file has failed. */
  onfault(error: unknown): void;
}

/** Where a file is chosen, or dropped. Other sources have a place in its slot. */
export class DropZone {
  readonly input = make("input", {
    part: "file",
    type: "file",
    "aria-labelledby": "file-label file-name",
    "aria-describedby": "file-size",
  });
  readonly element: HTMLElement;
  readonly #label = make("span", { part: "file-label" });
  readonly #name = new NameView();
  readonly #size = make("span", { part: "file-size" });
  readonly #events: DropZoneEvents;

  constructor(events: DropZoneEvents) {
    this.#events = events;
    const field = make(
      "label",
      { part: "drop", for: "file" },
      ...[this.input, this.#name.element, this.#size, this.#label],
    );
    this.element = make("div", { class: "sources" }, field, make("slot", { name: "sources" }));
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
      if (file) events.ongiven({ file, handle: undefined, isFolder: false });
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

  show(file: File | undefined, isFolder: boolean, isRunning: boolean, words: MediaWords, units: Units): void {
    this.#name.show(file?.name);
    const exact = file && words.bytes(units.count(file.size));
    const size = file && (file.size < 1024 ? exact! : `${units.bytes(file.size)} (${exact})`);
    writeText(this.#size, isFolder ? "" : (size ?? words.onlyRead));
    writeText(this.#label, file ? (isRunning ? "" : words.chooseAnother) : words.choose);
    writeAttribute(this.element, "data-chosen", file && "");
    if (this.input.disabled !== isRunning) this.input.disabled = isRunning;
  }

  async #pick(): Promise<void> {
    try {
      const handle = await pickFile();
      if (handle) this.#give({ file: await handle.getFile(), handle, isFolder: false });
    } catch (error) {
      this.#events.onfault(error);
    }
  }

  /** What was dropped is asked for in the event: later the event has forgotten it. */
  async #drop(data: DataTransfer | null): Promise<void> {
    const item = [...(data?.items ?? [])].find(({ kind }) => kind === "file");
    const isFolder = item?.webkitGetAsEntry?.()?.isDirectory ?? false;
    const file = data?.files[0];
    const handle = await droppedHandle(item);
    if (file) this.#give({ file, handle, isFolder });
  }

  #give(given: Given): void {
    if (!this.input.disabled) this.#events.ongiven(given);
  }
}
