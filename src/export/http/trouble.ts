import { callBack } from "../../streams/call-back.ts";
import type { HttpError } from "./http-error.ts";

/** Tells people when a server begins to fail, and when it answers again: once, however many requests meet with it. */
export class Trouble {
  readonly #note: (line: string) => void;
  #isThere = false;

  /** @param onnote what it throws disturbs nothing */
  constructor(onnote: (line: string) => void) {
    this.#note = (line) => callBack(() => onnote(line));
  }

  note(line: string): void {
    this.#note(line);
  }

  /** An attempt has failed, and there will be another. */
  failed({ message, retryAfter }: HttpError): void {
    if (this.#isThere) return;
    this.#isThere = true;
    const wish =
      retryAfter === undefined ? "" : `; the server asks to wait ${Math.ceil(retryAfter / 1000)} s`;
    this.#note(`${message}${wish}; trying again`);
  }

  succeeded(): void {
    if (!this.#isThere) return;
    this.#isThere = false;
    this.#note("the server answers again");
  }
}
