import { sampleOf } from "../../src/export/blob-sample.ts";
import { messageOf } from "../../src/streams/message-of.ts";

/** Milliseconds between two attempts. */
const INTERVAL = 1000;

/** Milliseconds after which a file counts as slow, as one on a network share may be. */
const SLOW = 200;

export interface TrialEvents {
  /** The first attempt takes long. */
  onslow(): void;
  /** An attempt has failed, for a reason in words. There will be another. */
  onfault(fault: string): void;
  /** The file was read: this was the last attempt. */
  onread(): void;
}

/** Tries to read a file that was chosen until that succeeds, or `end()`. */
export class Trial {
  readonly #file: File;
  readonly #events: TrialEvents;
  #timer: ReturnType<typeof setTimeout>;
  #isOver = false;

  constructor(file: File, events: TrialEvents) {
    this.#file = file;
    this.#events = events;
    this.#timer = setTimeout(() => events.onslow(), SLOW);
    void this.#attempt();
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  async #attempt(): Promise<void> {
    let fault: string | undefined;
    try {
      await sampleOf(this.#file)?.look();
    } catch (error) {
      fault = messageOf(error);
    }
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    if (fault === undefined) return this.#events.onread();
    this.#timer = setTimeout(() => this.#attempt(), INTERVAL);
    this.#events.onfault(fault);
  }
}
