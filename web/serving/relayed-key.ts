import type { ResumeKeys } from "../../src/resuming/resume-keys.ts";
import type { KeptKey } from "./messages.ts";

/** The key of a session in the Worker; it is kept in the page, which is told of each change. */
export class RelayedKey implements ResumeKeys {
  readonly #onChange: () => void;
  #key: string | undefined;
  #change: KeptKey | undefined;

  /**
   * @param key what the page has kept
   * @param onChange called when there is something to take
   */
  constructor(key: string | undefined, onChange: () => void) {
    this.#key = key;
    this.#onChange = onChange;
  }

  get(): string | undefined {
    return this.#key;
  }

  set(key: string | undefined, wait?: number): void {
    this.#key = key;
    this.#change = { key, wait };
    this.#onChange();
  }

  /** The last change, once. */
  take(): KeptKey | undefined {
    const change = this.#change;
    this.#change = undefined;
    return change;
  }
}
