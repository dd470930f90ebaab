import { Statistics } from "../../export/filters/statistics.ts";
import { deferred } from "../../streams/deferred.ts";
import { messageOf } from "../../streams/message-of.ts";
import type { Log } from "../log/log.ts";
import { FailureCounts } from "./failure-counts.ts";
import type { Connection } from "./links.ts";
import { type Traffic, TrafficRecord } from "./traffic.ts";

/**
 * Where a session is in its life. States come in this order, and some may be left out:
 *
 * - `connecting`: it looks for its place, waits for a link, and does the handshake.
 * - `attaching`: the export is put in its place, and the state hook runs `start`.
 * - `attached`: local clients can use the export.
 * - `waiting`: the link is lost. What local clients ask for waits for a new one. Then it is as before.
 * - `ending`: the state hook runs `stop`, the last writes are made safe, and the export is taken from its place.
 * - `ended`: nothing is left of it.
 */
export type SessionState = "connecting" | "attaching" | "attached" | "waiting" | "ending" | "ended";

/** An export, in short. */
export interface ExportSummary {
  /** The server's own name for it; "" where it told none. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly isWritable: boolean;
}

/** A session that runs, or has run. All but `onstate` is to be read only. */
export interface Session {
  readonly state: SessionState;
  /** Called with each new state. What it throws is logged. */
  onstate: ((state: SessionState) => void) | undefined;
  /** What the other side exports; undefined until it has told. */
  readonly exported: ExportSummary | undefined;
  /** Where local clients find it, for people: a device or an address; undefined while it is not there. */
  readonly where: string | undefined;
  /** Whether local clients could use it once. */
  readonly wasAttached: boolean;
  /** The connection of the link that it has, or had last, where that is known. */
  readonly connection: Connection | undefined;
  /** What local clients have done so far. */
  readonly counts: Pick<Statistics, "of" | "changes" | "snapshot">;
  /** How many requests of theirs have failed, and with what; those that bring in or describe ranges are not among them. */
  readonly failures: Pick<FailureCounts, typeof Symbol.iterator>;
  /** What went over its links so far. */
  readonly traffic: Traffic;
  /** Until when a new link is waited for; undefined while none is. */
  readonly waitingUntil: Date | undefined;
  /** Resolves when local clients can use it, for the first time; it stays pending where they never can. */
  readonly attached: Promise<void>;
  /** Resolves when it has begun to end: no new link can keep it. */
  readonly leaving: Promise<void>;
  /** Settles when the session has ended and nothing is left of it; see `session`. It is safe to ignore. */
  readonly ended: Promise<void>;
}

/** What a session tells of itself while it runs. */
export class SessionRecord implements Omit<Session, "ended"> {
  readonly counts = new Statistics();
  readonly failures = new FailureCounts();
  readonly traffic = new TrafficRecord();
  readonly attached: Promise<void>;
  readonly leaving: Promise<void>;
  onstate: Session["onstate"];
  exported: ExportSummary | undefined;
  where: string | undefined;
  wasAttached = false;
  #state: SessionState = "connecting";
  #waitingUntil: Date | undefined;
  readonly #log: Log;
  readonly #attached = deferred();
  readonly #leaving = deferred();

  /** @param log takes a line for people */
  constructor(log: Log) {
    this.#log = log;
    this.attached = this.#attached.promise;
    this.leaving = this.#leaving.promise;
  }

  get state(): SessionState {
    const isEnding = this.#state === "ending" || this.#state === "ended";
    return this.#waitingUntil && !isEnding ? "waiting" : this.#state;
  }

  get waitingUntil(): Date | undefined {
    return this.state === "waiting" ? this.#waitingUntil : undefined;
  }

  get connection(): Connection | undefined {
    return this.traffic.connection;
  }

  set connection(connection: Connection | undefined) {
    this.traffic.connection = connection;
  }

  enter(state: SessionState): void {
    if (state === "ending" || state === "ended") this.#leaving.resolve();
    if (state === "attached") this.wasAttached = true;
    this.#change(() => {
      this.#state = state;
    });
    if (state === "attached") this.#attached.resolve();
  }

  /** Takes note of until when a link is waited for; undefined: none is. */
  wait(until: Date | undefined): void {
    this.#change(() => {
      this.#waitingUntil = until;
    });
  }

  #change(change: () => void): void {
    const before = this.state;
    change();
    const { state } = this;
    if (state === before) return;
    try {
      this.onstate?.(state);
    } catch (error) {
      this.#log(`a listener to the session's state failed: ${messageOf(error)}`, "error");
    }
  }
}
