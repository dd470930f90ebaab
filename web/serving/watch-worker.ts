import type { Clock } from "../../src/resuming/clock.ts";

/** Milliseconds between two looks. */
const LOOK = 5000;

/** How many questions in a row may go unanswered. A page that was busy hears the answers late, but hears one before it asks this often. */
const PATIENCE = 3;

export interface WorkerWatchOptions {
  clock: Pick<Clock, "after">;
  /** Has it answer. */
  ask(): void;
  /** Called once, when it does not. */
  onDead(): void;
}

/** Watches a Worker from which nothing has to come, since no browser tells that one has died. */
export class WorkerWatch {
  readonly #options: WorkerWatchOptions;
  #unanswered = 0;
  #hasHeard = true;
  #callOff = () => {};

  constructor(options: WorkerWatchOptions) {
    this.#options = options;
    this.#lookLater();
  }

  /** Something came. */
  heard(): void {
    this.#hasHeard = true;
  }

  end(): void {
    this.#callOff();
  }

  #lookLater() {
    this.#callOff = this.#options.clock.after(LOOK, () => this.#look());
  }

  #look() {
    if (this.#hasHeard) this.#unanswered = 0;
    else if (this.#unanswered === PATIENCE) return this.#options.onDead();
    else {
      this.#unanswered++;
      this.#options.ask();
    }
    this.#hasHeard = false;
    this.#lookLater();
  }
}
