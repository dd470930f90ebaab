import type { Export } from "../export.ts";
import type { Opened } from "./opened.ts";
import { SharedFlush } from "./shared-flush.ts";

/** One link: the export behind it, and its end. */
export class CurrentLink {
  readonly target: Export;
  readonly incarnation: string | undefined;
  /** Resolves when the link is over, with what it has failed with, if it has. */
  readonly end: Promise<{ error: unknown } | undefined>;
  /** Flushes that nobody has asked for. */
  readonly flushes: SharedFlush;
  #isOver = false;
  #closed: Promise<void> | undefined;

  /** @param flush a flush of the target that nobody has asked for */
  constructor({ target, ended, incarnation }: Opened, flush: (link: CurrentLink) => Promise<void>) {
    this.target = target;
    this.incarnation = incarnation;
    const over = (end: { error: unknown } | undefined) => {
      this.#isOver = true;
      return end;
    };
    this.end = ended.then(
      () => over(undefined),
      (error) => over({ error }),
    );
    this.flushes = new SharedFlush(() => flush(this));
  }

  /** Nothing can be asked for any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Closes the target, once. */
  close(): Promise<void> {
    this.#isOver = true;
    this.#closed ??= (async () => this.target.close())();
    return this.#closed;
  }
}
