import { OPERATIONS, type OperationCounts, Statistics } from "../../src/export/filters/statistics.ts";
import { summaryOf } from "../../src/node/session/summary.ts";

/**
 * - `connecting`: nobody has chosen the image yet.
 * - `serving`: somebody can read it.
 * - `lost`: the link is lost, and another one is tried to be had.
 * - `ejecting`: a signal has come, and what is outstanding is answered.
 */
export type ServeState = "connecting" | "serving" | "lost" | "ejecting";

/** How nbd-serve has ended: the other side did, a signal came, or it failed. */
export type Ending = "ended" | "ejected" | "failed";

export interface CourseOptions {
  /** Bytes of the image. */
  readonly size: number;
  readonly isWritable: boolean;
  /** Seconds for which a lost link is tried to be had again. */
  readonly retry: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** What has become of an image that is served, and what was counted of it. It changes in place. */
export class Course {
  readonly size: number;
  readonly isWritable: boolean;
  readonly counts: Statistics;
  readonly now: () => number;
  readonly #retry: number;
  #state: ServeState = "connecting";
  #losses = 0;
  #servingSince: number | undefined;
  /** When the link was lost that is not replaced yet, by this clock, and how many requests had ended by then. */
  #lost: { at: number; requests: number } | undefined;

  constructor({ size, isWritable, retry, now = () => performance.now() }: CourseOptions) {
    this.size = size;
    this.isWritable = isWritable;
    this.#retry = retry;
    this.now = now;
    this.counts = new Statistics({ now });
  }

  get state(): ServeState {
    return this.#state;
  }

  /** How often a link was lost. */
  get losses(): number {
    return this.#losses;
  }

  /** How many requests are not answered yet. */
  get outstanding(): number {
    return this.#total(({ outstanding }) => outstanding);
  }

  /** How many requests have failed. */
  get failed(): number {
    return this.#total(({ errors }) => errors);
  }

  /** Milliseconds since somebody could read it for the first time; 0 before. */
  get uptime(): number {
    return this.#servingSince === undefined ? 0 : this.now() - this.#servingSince;
  }

  /** Milliseconds until a lost link is given up; undefined while there is a link. */
  get patience(): number | undefined {
    if (this.#state !== "lost" || !this.#lost) return undefined;
    return Math.max(0, this.#lost.at + 1000 * this.#retry - this.now());
  }

  /** There is a link, and the other side has chosen the image. */
  serving(): void {
    if (this.#state === "ejecting") return;
    this.#state = "serving";
    this.#servingSince ??= this.now();
  }

  /** The link is lost, or an attempt to have another one has failed. */
  lost(): void {
    if (this.#state === "ejecting") return;
    if (this.#state === "serving") this.#losses++;
    this.#state = "lost";
    // A link that nothing was asked for on has not ended the loss.
    const requests = this.#total(({ count, errors }) => count + errors);
    if (this.#lost?.requests !== requests) this.#lost = { at: this.now(), requests };
  }

  ejecting(): void {
    this.#state = "ejecting";
  }

  /** All of it in a line, as a gateway has it of a session; undefined if nobody could ever read it. */
  summary(how: Ending): string | undefined {
    if (this.#servingSince === undefined) return undefined;
    return summaryOf({ wasAttached: true, counts: this.counts, traffic: this }, this.uptime, how);
  }

  #total(of: (operation: OperationCounts) => number): number {
    return OPERATIONS.reduce((all, operation) => all + of(this.counts.of(operation)), 0);
  }
}
