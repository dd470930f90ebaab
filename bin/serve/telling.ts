import type { Export } from "../../src/export/export.ts";
import type { Log } from "../../src/node/log/log.ts";
import { messageOf } from "../../src/streams/message-of.ts";
import type { Course, CourseOptions } from "./course.ts";
import type { Events, Served } from "./events.ts";
import type { Terminal } from "./terminal.ts";
import type { Witness } from "./witness.ts";

export interface TellingOptions {
  /** Whether people get errors only. */
  readonly isQuiet: boolean;
  /** Whether a person may look on: not where it is the helper of another program, which has the terminal. */
  readonly mayBeWatched: boolean;
  /** Whether scripts get events, on standard output. */
  readonly hasEvents: boolean;
  /** Writes a line for people. */
  readonly log: (line: string) => void;
  /** Makes words fit to be shown. */
  readonly shown: (words: string) => string;
  /** Put before each line. */
  readonly prefix: string;
}

/**
 * Tells what happens while nbd-serve serves: people, on standard error, and scripts. On a terminal people see one line that
 * changes. What that needs is loaded only there, and requests are counted only if somebody is told of them.
 */
export class Telling {
  readonly #options: TellingOptions;
  #course: Course | undefined;
  #people: Witness;
  #events: Events | undefined;
  #terminal: Terminal | undefined;
  #signal: AbortSignal | undefined;

  private constructor(options: TellingOptions) {
    this.#options = options;
    const { isQuiet, log } = options;
    this.#people = {
      line: (words, level) => {
        if (!isQuiet || level === "error") log(words);
      },
    };
  }

  static async begin(served: Served, options: TellingOptions): Promise<Telling> {
    const telling = new Telling(options);
    if (options.hasEvents) {
      const { Events } = await import("./events.ts");
      telling.#events = new Events(process.stdout, options.shown, served);
    }
    return telling;
  }

  /** Takes a line for people. */
  readonly line: Log = (words, level) => {
    for (const witness of this.#witnesses()) witness.line(words, level);
  };

  /**
   * Does the work, and tells how it has ended.
   * @throws what the work throws
   */
  async during(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      await this.#ended(this.#signal?.aborted ? "ejected" : "ended");
    } catch (error) {
      await this.#ended("failed", messageOf(error));
      throw error;
    }
  }

  /** Tells of the end that `signal` asks for, once it is aborted. */
  heed(signal: AbortSignal): void {
    this.#signal = signal;
    signal.addEventListener("abort", this.#eject);
  }

  /** The image is open: begins to tell of it. */
  async open(options: CourseOptions): Promise<void> {
    const { isQuiet, mayBeWatched, hasEvents, log, shown, prefix } = this.#options;
    const { stderr } = process;
    const isWatched = mayBeWatched && stderr.isTTY && !isQuiet && !hasEvents;
    if (!isWatched && !this.#events) return;
    const { Course } = await import("./course.ts");
    const course = new Course(options);
    this.#course = course;
    this.#events?.follow(course);
    if (isWatched && process.env.TERM === "dumb") {
      const { plain } = await import("./plain.ts");
      this.#people = plain(log, course);
    } else if (isWatched) {
      const { Terminal } = await import("./terminal.ts");
      this.#terminal = new Terminal(stderr, course, (words) => `${prefix}${shown(words)}`);
      this.#people = this.#terminal;
    }
    if (this.#signal?.aborted) this.#eject();
  }

  /** The same export, whose requests are counted if somebody is told of them. */
  over(target: Export): Export {
    return this.#course ? this.#course.counts.over(target) : target;
  }

  /** There is a link, and the other side has chosen the image. */
  serving(words: string): void {
    this.line(words);
    this.#change((course) => course.serving());
  }

  /** The link is lost, or an attempt to have another one has failed. */
  lost(words: string): void {
    this.line(words, "warning");
    this.#change((course) => course.lost());
  }

  /** Leaves a terminal as it was, at once. */
  leave(): void {
    this.#terminal?.leave();
  }

  readonly #eject = () => this.#change((course) => course.ejecting());

  #change(change: (course: Course) => void): void {
    const course = this.#course;
    if (!course) return;
    const before = course.state;
    change(course);
    if (course.state === before) return;
    for (const witness of this.#witnesses()) witness.changed?.();
  }

  async #ended(...how: Parameters<NonNullable<Witness["ended"]>>): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#eject);
    for (const witness of this.#witnesses()) await witness.ended?.(...how);
  }

  #witnesses(): Witness[] {
    return [this.#people, ...(this.#events ? [this.#events] : [])];
  }
}
