/** Milliseconds after which an attempt counts as slow, as one on a network share may be. */
const SLOW = 200;

export interface TrialOptions<T> {
  /** What it throws is a failure too, and told at once. */
  attempt(signal: AbortSignal): Promise<T> | T;
  /** Milliseconds from an attempt that has failed to the next; undefined: there will be none. */
  pauseAfter(error: unknown): number | undefined;
  /** The first attempt takes long. */
  onslow(): void;
  /** An attempt has failed. */
  onfault(error: unknown): void;
  /** This was the last attempt. */
  onread(got: T): void;
}

/** Tries to read what was chosen until that succeeds, or cannot succeed any more, or `end()`. */
export class Trial<T> {
  readonly #options: TrialOptions<T>;
  readonly #ending = new AbortController();
  #timer: ReturnType<typeof setTimeout>;

  constructor(options: TrialOptions<T>) {
    this.#options = options;
    this.#timer = setTimeout(() => options.onslow(), SLOW);
    void this.#attempt();
  }

  end(): void {
    this.#ending.abort();
    clearTimeout(this.#timer);
  }

  async #attempt(): Promise<void> {
    const { attempt, pauseAfter, onfault, onread } = this.#options;
    const { signal } = this.#ending;
    let got: T;
    try {
      got = await attempt(signal);
    } catch (error) {
      if (signal.aborted) return;
      clearTimeout(this.#timer);
      const pause = pauseAfter(error);
      if (pause !== undefined) this.#timer = setTimeout(() => this.#attempt(), pause);
      onfault(error);
      return;
    }
    if (signal.aborted) return;
    clearTimeout(this.#timer);
    onread(got);
  }
}
