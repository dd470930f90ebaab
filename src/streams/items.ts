import { Turns } from "./turns.ts";

/** Cuts chunks into items: an array of them, or bytes (`Messages`). */
export interface Items<Chunk, Item> {
  push(chunk: Chunk): void;
  /**
   * The next item; undefined if there is none, or if `pause` must be awaited first.
   * @throws what fails the layer, once the items before it have been started
   */
  take(): { value: Item } | undefined;
  /** Set when it is the turn of other loops: resolves when `take` may be called again. */
  readonly pause?: Promise<void> | undefined;
  /** Called when no item is left: a promise holds up the writer's next chunk. */
  admit?(): Promise<void> | undefined;
  /** Whether the last item has been taken. The layer then ends, and ignores what follows. */
  readonly isOver?: boolean;
  /**
   * Called when the writer has closed.
   * @throws what fails the layer
   */
  end?(): void;
}

/** The elements of arrays. */
export class Elements<T> implements Items<T[], T> {
  readonly #turns = new Turns();
  #chunk: T[] = [];
  #next = 0;

  get pause(): Promise<void> | undefined {
    return this.#turns.next;
  }

  push(chunk: T[]): void {
    this.#chunk = chunk;
    this.#next = 0;
  }

  take(): { value: T } | undefined {
    if (this.#next === this.#chunk.length) {
      this.#chunk = [];
      this.#next = 0;
      return undefined;
    }
    if (this.#turns.isOver()) return undefined;
    return { value: this.#chunk[this.#next++]! };
  }
}
