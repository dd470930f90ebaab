/** A signal that is aborted with another one, and after some milliseconds unless `keep()` was called. `end()` gives up what it holds. */
export class Patience {
  readonly #outer: AbortSignal;
  readonly #controller = new AbortController();
  readonly #abort = () => this.#controller.abort();
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(outer: AbortSignal, milliseconds: number) {
    this.#outer = outer;
    this.#timer = setTimeout(this.#abort, milliseconds);
    outer.addEventListener("abort", this.#abort);
    if (outer.aborted) this.#abort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What was waited for is there: from now on only the other signal aborts it. */
  keep(): void {
    clearTimeout(this.#timer);
  }

  /** Aborts what goes on still. */
  end(): void {
    this.keep();
    this.#outer.removeEventListener("abort", this.#abort);
    this.#abort();
  }
}
