import type { FastExport } from "../../export/filters/fast.ts";
import type { Connection } from "./links.ts";

/** What the links of a session have carried so far, and what did not have to be carried. */
export interface Traffic {
  /** Bytes that came from the other side, and that went to it, where the connections are known. */
  readonly received: number;
  readonly sent: number;
  /** How often a link was lost. */
  readonly losses: number;
  /** Milliseconds to the other side and back, as measured by reads; undefined before the first one. */
  readonly roundTrip: number | undefined;
  /** Reads for which nothing had to be asked of the other side, and the others. */
  readonly hits: number;
  readonly misses: number;
}

/** Takes note of what a session has: one connection after another, and what keeps what was read. */
export class TrafficRecord implements Traffic {
  /** Keeps what was read. */
  kept: Pick<FastExport, "hits" | "misses" | "roundTrip"> | undefined;
  losses = 0;
  #connection: Connection | undefined;
  /** Of the connections before this one. */
  #before = { received: 0, sent: 0 };

  /** The connection of the link that is there, or was there last, where that is known. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  set connection(next: Connection | undefined) {
    if (next === this.#connection) return;
    const { received, sent } = this;
    this.#before = { received, sent };
    this.#connection = next;
  }

  get received(): number {
    return this.#before.received + (this.#connection?.received ?? 0);
  }

  get sent(): number {
    return this.#before.sent + (this.#connection?.sent ?? 0);
  }

  get roundTrip(): number | undefined {
    return this.kept?.roundTrip;
  }

  get hits(): number {
    return this.kept?.hits ?? 0;
  }

  get misses(): number {
    return this.kept?.misses ?? 0;
  }
}
