import { oneLine } from "../../nbd/one-line.ts";
import { type LogRecord, type LogTarget, lineOf, recorder } from "../log/log.ts";

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
  readonly #write: (record: LogRecord) => void;
  readonly #clock: LogClock;
  readonly #strangers: Allowance;
  readonly #sessions = new Map<string, Allowance>();

  constructor(target: LogTarget, clock: LogClock = systemClock) {
    const write = recorder(target);
    this.#write = (record) => write(fitting(record));
    this.#clock = clock;
    this.#strangers = this.#allowance({});
  }

  /**
   * Writes a line about somebody of whom nothing is known. What they say of themselves must be quoted in it.
   * @param about default: a warning about no configuration
   */
  stranger(message: string, about: Omit<Partial<LogRecord>, "message"> = {}): void {
    this.#strangers.write({ level: "warning", ...about, message });
  }

  /** Writes a line about the session that has a configuration, with the configuration's name in front of it. Default: "info". */
  session(
    configuration: string,
    message: string,
    about: Pick<Partial<LogRecord>, "level" | "session"> = {},
  ): void {
    let allowance = this.#sessions.get(configuration);
    if (!allowance) {
      allowance = this.#allowance({ configuration });
      this.#sessions.set(configuration, allowance);
    }
    allowance.write({ level: "info", ...about, configuration, message });
  }

  /** Says what was left out and has not been said yet. */
  end(): void {
    for (const allowance of [this.#strangers, ...this.#sessions.values()]) allowance.summarise();
  }

  #allowance(about: Pick<LogRecord, "configuration">): Allowance {
    return new Allowance(about, this.#write, this.#clock);
  }
}

/** As many lines as one source may write. */
class Allowance {
  readonly #about: Pick<LogRecord, "configuration">;
  readonly #write: (record: LogRecord) => void;
  readonly #clock: LogClock;
  #lines = BURST;
  #since: number;
  #leftOut = 0;
  #summary: { cancel(): void } | undefined;

  constructor(about: Pick<LogRecord, "configuration">, write: (record: LogRecord) => void, clock: LogClock) {
    this.#about = about;
    this.#write = write;
    this.#clock = clock;
    this.#since = clock.now();
  }

  write(record: LogRecord): void {
    const earned = Math.floor((this.#clock.now() - this.#since) / INTERVAL);
    this.#since += earned * INTERVAL;
    this.#lines = Math.min(BURST, this.#lines + earned);
    if (this.#lines > 0) {
      this.#lines--;
      this.#write(record);
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
    this.#write({ ...this.#about, level: "warning", message: `${lines} left out` });
  }
}

/** A record whose line is one line, and not too long. */
function fitting({ configuration, message, ...record }: LogRecord): LogRecord {
  const about = configuration === undefined ? {} : { configuration: oneLine(configuration) };
  const words = oneLine(message);
  const room = LONGEST - lineOf({ ...record, ...about, message: "" }).length;
  return { ...record, ...about, message: words.length > room ? `${words.slice(0, room)}…` : words };
}
