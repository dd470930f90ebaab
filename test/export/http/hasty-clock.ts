import type { Clock } from "../../../src/resuming/clock.ts";

/** Milliseconds from which on a time is one that a server is given: it never passes. */
const PATIENCE = 10_000;

/**
 * A clock on which every pause is over at once, unless the clock is held; and no server is ever late. Tests count the
 * milliseconds that were waited.
 */
export class HastyClock implements Clock {
  /** How many pauses wait for the clock to go on. */
  waiting = 0;
  #time = 0;
  #held: (() => void)[] | undefined;

  readonly now = () => this.#time;
  readonly random = () => 1;

  hold(): void {
    this.#held = [];
  }

  goOn(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const start of held) start();
  }

  after(milliseconds: number, callback: () => void): () => void {
    if (milliseconds >= PATIENCE) return () => {};
    let timer: NodeJS.Immediate | undefined;
    const start = () => {
      this.waiting--;
      timer = setImmediate(() => {
        this.#time += milliseconds;
        callback();
      });
    };
    this.waiting++;
    if (this.#held) this.#held.push(start);
    else start();
    return () => clearImmediate(timer);
  }
}
