import type { Clock } from "../../resuming/clock.ts";
import { HttpError } from "./http-error.ts";

/** One attempt to get an answer. It is over when its user is gone, or when the server is silent for too long. */
export class Attempt {
  readonly #controller = new AbortController();
  readonly #user: AbortSignal;
  readonly #timeout: number;
  readonly #clock: Clock;
  #callOff = () => {};

  /** @param timeout milliseconds of silence */
  constructor(user: AbortSignal, timeout: number, clock: Clock) {
    this.#user = user;
    this.#timeout = timeout;
    this.#clock = clock;
    user.addEventListener("abort", this.#giveUp);
    if (user.aborted) this.#giveUp();
    this.heard();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #giveUp = () => this.#controller.abort(this.#user.reason);

  /** Something has come: the time of silence begins anew. */
  heard(): void {
    this.#callOff();
    this.#callOff = this.#clock.after(this.#timeout, () => {
      const words = `nothing came from the server for ${this.#timeout / 1000} s`;
      this.#controller.abort(new HttpError("timeout", words, { mayPass: true }));
    });
  }

  /** Ends the timer; and what is left of the answer, unless all of it was read. */
  end(isComplete: boolean): void {
    this.#callOff();
    this.#user.removeEventListener("abort", this.#giveUp);
    if (!isComplete) this.#controller.abort();
  }
}
