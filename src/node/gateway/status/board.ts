import type { Configuration } from "../../config/config.ts";
import type { Session } from "../../session/session-state.ts";
import { type Figures, figuresOf, NO_FIGURES, sum } from "./figures.ts";
import { wordsToShow } from "./words-to-show.ts";

/** A session that has a configuration. */
export interface Holding {
  /** Random, as it stands in the log. */
  readonly id: string;
  /** What the session began with. */
  readonly configuration: Configuration;
  /** When the other side came. */
  readonly since: Date;
  /** The address of the other side when it came; "" on a unix socket. */
  readonly address: string;
  /** What is fetched from here, without secrets; undefined where the other side has come by itself. */
  readonly source?: string | undefined;
  readonly running: Session;
}

/** What went wrong at last. */
export interface LastError {
  /** For people, without paths. */
  readonly words: string;
  readonly at: Date;
}

/** What is known of one configuration. */
export interface BoardEntry {
  readonly holding: Holding | undefined;
  /** With what the last session failed, until another one's disk is there. */
  readonly lastError: LastError | undefined;
  /** Sessions that have begun, and that have failed. */
  readonly sessions: number;
  readonly failed: number;
  /** Of all its sessions: the numbers only grow, but for those of what is outstanding. */
  figures(): Figures;
}

/** The configuration has something new. */
export type OnChange = (name: string) => void;

/**
 * What each configuration is at: written by those who run sessions, read by those who look on. It holds of a session that
 * has ended only what was counted.
 */
export class Board {
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<OnChange>();

  /** Has a function called at each change of a state. It must not throw. Returns what ends that. */
  listen(onChange: OnChange): () => void {
    this.#listeners.add(onChange);
    return () => this.#listeners.delete(onChange);
  }

  /** What is known of the configuration called `name`. */
  of(name: string): BoardEntry {
    return this.#entries.get(name) ?? new Entry();
  }

  /** The names of configurations that have a session. */
  get held(): readonly string[] {
    return [...this.#entries].filter(([, { holding }]) => holding).map(([name]) => name);
  }

  /** A session has its configuration from now on, until `end`. */
  begin(holding: Holding): void {
    const { name } = holding.configuration;
    const entry = this.#entry(name);
    entry.settle();
    entry.holding = holding;
    entry.sessions++;
    holding.running.onstate = (state) => {
      if (state === "attached") entry.lastError = undefined;
      if (state !== "ended") this.#changed(name);
    };
    this.#changed(name);
  }

  /**
   * Takes note of the end of a session, or that none could begin.
   * @param running the session, where it has had the configuration
   * @param error what it has failed with; undefined: it has ended in order
   */
  end(name: string, running: Session | undefined, error?: unknown): void {
    const entry = this.#entry(name);
    // The next one may have its place already.
    if (running && entry.holding?.running === running) entry.settle();
    if (error !== undefined) {
      entry.lastError = { words: wordsToShow(error), at: new Date() };
      entry.failed++;
    }
    this.#changed(name);
  }

  /** Forgets with what the last session of each of these configurations has failed, as they are others now. */
  forgetErrors(names: readonly string[]): void {
    for (const name of names) {
      const entry = this.#entries.get(name);
      if (entry) entry.lastError = undefined;
    }
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name) ?? new Entry();
    this.#entries.set(name, entry);
    return entry;
  }

  #changed(name: string): void {
    for (const listener of this.#listeners) listener(name);
  }
}

class Entry implements BoardEntry {
  holding: Holding | undefined;
  lastError: LastError | undefined;
  sessions = 0;
  failed = 0;
  /** Of the sessions that have ended. */
  ended: Figures = NO_FIGURES;

  /** Nothing is kept of the session that it has but its figures. */
  settle(): void {
    if (this.holding) this.ended = sum(this.ended, settled(figuresOf(this.holding.running)));
    this.holding = undefined;
  }

  figures(): Figures {
    return this.holding ? sum(this.ended, figuresOf(this.holding.running)) : this.ended;
  }
}

/** Figures of a session that is over: nothing of it is outstanding. */
function settled(figures: Figures): Figures {
  const operations = Object.entries(figures.operations).map(([name, one]) => [
    name,
    { ...one, outstanding: 0 },
  ]);
  return { ...figures, operations: Object.fromEntries(operations) as Figures["operations"] };
}
