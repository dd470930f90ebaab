import { oneLine } from "../../nbd/one-line.ts";

/** Lines that are written at once, before the limit begins to count; and milliseconds for each that may follow. */
const BURST = 20;
const INTERVAL = 1000;

/** Milliseconds after which it is said how many lines were left out. */
const SUMMARY_TIME = 10_000;

/** The longest line, in characters. */
const LONGEST = 1000;

/** Where the time comes from. */
export interface LogClock {
  /** Milliseconds, which only grow. */
  now(): number;
  /** Calls back after `milliseconds`. */
  after(milliseconds: number, callback: () => void): { cancel(): void };
}

const systemClock: LogClock = {
  now: () => performance.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    // The log keeps no process alive.
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/**
 * A log that nobody can flood: whoever may write to it, by what is done at the other end of a connection, has an allowance of
 * 20 lines at once and one a second after that. What is left out is counted, and said at most every 10 s.
 *
 * Each configuration has an allowance for its sessions, and all strangers together have one. So a flood of theirs hides
 * nothing that a session says.
 */
export class LimitedLog {
  readonly #write: (line: string) => void;
  readonly #clock: LogClock;
  readonly #strangers: Allowance;
  readonly #sessions = new Map<string, Allowance>();

  constructor(write: (line: string) => void, clock: LogClock = systemClock) {
    this.#write = (line) => write(fitting(oneLine(line)));
    this.#clock = clock;
    this.#strangers = this.#allowance("");
  }

  /** Writes a line about somebody of whom nothing is known. What they say of themselves must be quoted in it. */
  stranger(line: string): void {
    this.#strangers.write(line);
  }

  /** Writes a line about the session that has a configuration, with the configuration's name in front of it. */
  session(configuration: string, words: string): void {
    const label = `${configuration}: `;
    let allowance = this.#sessions.get(configuration);
    if (!allowance) {
      allowance = this.#allowance(label);
      this.#sessions.set(configuration, allowance);
    }
    allowance.write(label + words);
  }

  /** Says what was left out and has not been said yet. */
  end(): void {
    for (const allowance of [this.#strangers, ...this.#sessions.values()]) allowance.summarise();
  }

  #allowance(label: string): Allowance {
    return new Allowance(label, this.#write, this.#clock);
  }
}

/** As many lines as one source may write. */
class Allowance {
  readonly #label: string;
  readonly #write: (line: string) => void;
  readonly #clock: LogClock;
  #lines = BURST;
  #since: number;
  #leftOut = 0;
  #summary: { cancel(): void } | undefined;

  constructor(label: string, write: (line: string) => void, clock: LogClock) {
    this.#label = label;
    this.#write = write;
    this.#clock = clock;
    this.#since = clock.now();
  }

  write(line: string): void {
    const earned = Math.floor((this.#clock.now() - this.#since) / INTERVAL);
    this.#since += earned * INTERVAL;
    this.#lines = Math.min(BURST, this.#lines + earned);
    if (this.#lines > 0) {
      this.#lines--;
      this.#write(line);
    } else {
      this.#leftOut++;
      this.#summary ??= this.#clock.after(SUMMARY_TIME, () => this.summarise());
    }
  }

  /** Says how many lines were left out, if some were. */
  summarise(): void {
    this.#summary?.cancel();
    this.#summary = undefined;
    if (this.#leftOut === 0) return;
    const lines = this.#leftOut === 1 ? "1 more line was" : `${this.#leftOut} more lines were`;
    this.#leftOut = 0;
    this.#write(`${this.#label}${lines} left out`);
  }
}

function fitting(line: string): string {
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}
