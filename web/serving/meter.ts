import type { Export } from "../../src/export/export.ts";
import type { Cache } from "../../src/export/filters/cache.ts";
import { MOST_CELLS } from "../../src/export/filters/cells.ts";
import { Frequency } from "../../src/export/filters/frequency.ts";
import { type Operation, Statistics } from "../../src/export/filters/statistics.ts";
import type { NBDServerState } from "../../src/NBDServer.ts";
import { type Clock, computerClock } from "../../src/resuming/clock.ts";
import { blockMap, copyOf, isSameMap } from "./block-map.ts";
import { EventLines } from "./event-lines.ts";
import { Pace } from "./pace.ts";
import { COUNTED, Rates } from "./rates.ts";
import type { BlockMap, Failure, Level, ServingReport, Totals } from "./report.ts";

/** Milliseconds from one report to the next, at least. */
const REPORT_INTERVAL = 250;

/** Milliseconds from one map to the next, at least, and between two samples. */
const SECOND = 1000;

const LEVELS: Partial<Record<NBDServerState, Level>> = {
  unreadable: "error",
  reconnecting: "warning",
  failed: "error",
};

export interface MeterOptions {
  /** Bytes of what is served. */
  size: number;
  /** How many cells the map has at most; 0: there is no map. */
  cells: number;
  /** Seconds for which a link that was lost is tried to be had again. */
  retry: number;
  /** Takes each report. What is in its map is the taker's. */
  onReport(report: ServingReport): void;
  clock?: Clock;
  /** Milliseconds since 1970. */
  wall?: () => number;
}

/** Counts what a server does, and reports it: at once after a quiet moment, else at the pace that a page can show. */
export class Meter {
  readonly #options: MeterOptions;
  readonly #clock: Clock;
  readonly #wall: () => number;
  readonly #statistics: Statistics;
  readonly #frequency: Frequency | undefined;
  readonly #rates: Rates;
  readonly #lines = new EventLines();
  readonly #reports: Pace;
  #cache: Cache | undefined;
  #hits = 0;
  #misses = 0;
  #lastReadAt: number | undefined;
  #state: NBDServerState = "idle";
  #since: number;
  #failure: Failure | undefined;
  #wasOpen = false;
  #lost: ServingReport["lost"];
  #told: BlockMap | undefined;
  /** When a map was last made, and whether it may have changed since. */
  #mappedAt = Number.NEGATIVE_INFINITY;
  #isMapOld = true;
  #callOffMap: (() => void) | undefined;
  #toldOutstanding = 0;
  #tickedAt: number;
  #callOffTick = () => {};

  constructor(options: MeterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? computerClock();
    this.#wall = options.wall ?? Date.now;
    this.#since = this.#wall();
    this.#statistics = new Statistics({
      now: () => this.#clock.now(),
      onSuccess: (operation, offset, length) => this.#succeeded(operation, offset, length),
    });
    this.#rates = new Rates(this.#statistics);
    if (options.cells > 0) this.#frequency = new Frequency(options.size, Math.min(options.cells, MOST_CELLS));
    this.#reports = new Pace(this.#clock, REPORT_INTERVAL, () => this.#tell());
    this.#tickedAt = this.#clock.now();
    this.#tickLater();
  }

  /**
   * An export whose calls are counted.
   * @param cache what it keeps in memory, if it does
   */
  over(next: Export, cache: Cache | undefined): Export {
    this.#cache = cache;
    const counted = this.#statistics.over(next, () => this.ask());
    const { read } = counted;
    return {
      ...counted,
      read: (offset, length, options) => {
        if (!cache || cache.gaps(offset, offset + length).length > 0) this.#misses++;
        else this.#hits++;
        return read(offset, length, options);
      },
    };
  }

  /** Takes note of a new state, and of a line about it. After "ended" or "failed" there is one more report, the last. */
  become(state: NBDServerState, line: string, failure?: Failure): void {
    const now = this.#wall();
    if (state === "waiting") this.#wasOpen = true;
    if (this.#state !== "reconnecting") {
      this.#lost =
        state === "reconnecting" ? { at: now, until: now + SECOND * this.#options.retry } : undefined;
    }
    if (state !== this.#state) this.#since = now;
    this.#state = state;
    this.#failure = failure;
    this.#lines.add(now, LEVELS[state] ?? "info", line);
    this.ask();
  }

  /** Takes a line that is about no new state. */
  note(line: string): void {
    this.#lines.add(this.#wall(), "info", line);
    this.ask();
  }

  /** Has a report made, even if there is nothing new. */
  ask(): void {
    this.#reports.ask();
  }

  #succeeded(operation: Operation, offset: number, length: number) {
    if (operation === "read") {
      this.#lastReadAt = this.#wall();
      this.#frequency?.mark(offset, length);
    }
    this.#isMapOld = true;
    this.ask();
  }

  #tickLater() {
    this.#callOffTick = this.#clock.after(this.#tickedAt + SECOND - this.#clock.now(), () => this.#tick());
  }

  #tick() {
    const seconds = Math.floor((this.#clock.now() - this.#tickedAt) / SECOND);
    if (seconds > 0) {
      this.#tickedAt += seconds * SECOND;
      const hasSample = this.#rates.tick(this.#wall(), seconds);
      if (hasSample || this.#outstanding() !== this.#toldOutstanding) this.ask();
    }
    this.#tickLater();
  }

  #outstanding(): number {
    return COUNTED.reduce((sum, operation) => sum + this.#statistics.of(operation).outstanding, 0);
  }

  #tell() {
    const isLast = this.#state === "ended" || this.#state === "failed";
    const report: ServingReport = {
      state: this.#state,
      since: this.#since,
      failure: this.#failure,
      wasOpen: this.#wasOpen,
      lost: this.#lost,
      lastReadAt: this.#lastReadAt,
      totals: this.#totals(),
      samples: this.#rates.take(),
      lines: this.#lines.take(),
      map: this.#newMap(isLast),
    };
    this.#toldOutstanding = report.totals.outstanding;
    if (isLast) this.#end();
    this.#options.onReport(report);
  }

  #totals(): Totals {
    const [read, write] = [this.#statistics.of("read"), this.#statistics.of("write")];
    return {
      reads: read.count,
      bytesRead: read.bytes,
      writes: write.count,
      bytesWritten: write.bytes,
      errors: COUNTED.reduce((sum, operation) => sum + this.#statistics.of(operation).errors, 0),
      outstanding: this.#outstanding(),
      hits: this.#hits,
      misses: this.#misses,
      bytesCovered: this.#statistics.snapshot().coverage.read.bytesCovered,
    };
  }

  /** The map, if it has changed and it is time. If it is too early it is told later. */
  #newMap(isLast: boolean): BlockMap | undefined {
    if (!this.#frequency || !this.#isMapOld) return undefined;
    const now = this.#clock.now();
    const left = this.#mappedAt + SECOND - now;
    if (left > 0 && !isLast) {
      this.#callOffMap ??= this.#clock.after(left, () => {
        this.#callOffMap = undefined;
        this.ask();
      });
      return undefined;
    }
    this.#mappedAt = now;
    this.#isMapOld = false;
    const map = blockMap({ reads: this.#frequency, statistics: this.#statistics, cache: this.#cache });
    if (this.#told && isSameMap(map, this.#told)) return undefined;
    this.#told = map;
    return copyOf(map);
  }

  #end() {
    this.#callOffTick();
    this.#callOffMap?.();
    this.#reports.end();
  }
}
