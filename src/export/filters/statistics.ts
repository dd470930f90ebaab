import { checkMethods, checkType, checkWhole } from "../../streams/check.ts";
import type { AsyncDisposable } from "../../streams/disposable.ts";
import type { Export, Filter } from "../export.ts";
import type { OnExportError } from "../failed-request.ts";
import { Coverage, type CoverageSnapshot } from "./coverage.ts";
import { forward } from "./forward.ts";
import { Latency, type LatencySnapshot } from "./latency.ts";

/** The calls of an export that are counted. */
export const OPERATIONS = ["read", "write", "flush", "trim", "writeZeroes", "cache", "extents"] as const;
export type Operation = (typeof OPERATIONS)[number];

/** What is counted of one operation; it changes as calls begin and end. */
export interface OperationCounts {
  /** Calls that have succeeded. */
  readonly count: number;
  /** Bytes of the ranges of these; 0 for a flush. */
  readonly bytes: number;
  /** Calls that have failed. A call that was given up by its signal has not. */
  readonly errors: number;
  /** Calls that have not ended. */
  readonly outstanding: number;
}

/** `OperationCounts` at a moment. */
export interface OperationSnapshot extends OperationCounts {
  /** How long the calls took that have succeeded or failed. */
  readonly latency: LatencySnapshot;
}

/** What `Statistics` knew at a moment: plain data, fit for JSON. */
export interface StatisticsSnapshot {
  readonly operations: Readonly<Record<Operation, OperationSnapshot>>;
  /** Which blocks of the image were read, and which were written, trimmed or made zeroes. */
  readonly coverage: { readonly read: CoverageSnapshot; readonly written: CoverageSnapshot };
}

export interface StatisticsOptions {
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
  /** Called when a call has succeeded, with its range; 0 and 0 for a flush. */
  onSuccess?: ((operation: Operation, offset: number, length: number) => void) | undefined;
}

/** The numbers of one operation. */
class Counts implements OperationCounts {
  count = 0;
  bytes = 0;
  errors = 0;
  outstanding = 0;
  readonly latency = new Latency();
  /** What a failure is told as; absent where it is not told. */
  readonly command: string | undefined;
  /** Takes note of what was read or written. */
  readonly coverage: Coverage | undefined;

  constructor(command?: string, coverage?: Coverage) {
    this.command = command;
    this.coverage = coverage;
  }

  succeeded(offset: number, length: number, milliseconds: number): void {
    this.outstanding--;
    this.count++;
    this.bytes += length;
    this.latency.add(milliseconds / 1000);
    this.coverage?.mark(offset, length);
  }

  failed(milliseconds: number, isGivenUp = false): void {
    this.outstanding--;
    if (isGivenUp) return;
    this.errors++;
    this.latency.add(milliseconds / 1000);
  }

  snapshot(): OperationSnapshot {
    const { count, bytes, errors, outstanding } = this;
    return { count, bytes, errors, outstanding, latency: this.latency.snapshot() };
  }
}

/** What goes through an export, counted by the filter `statistics`. Its memory is bounded, whatever the export's size. */
export class Statistics {
  readonly #now: () => number;
  readonly #onSuccess: StatisticsOptions["onSuccess"];
  readonly #read = new Coverage();
  readonly #written = new Coverage();
  readonly #operations: Readonly<Record<Operation, Counts>> = {
    read: new Counts("READ", this.#read),
    write: new Counts("WRITE", this.#written),
    flush: new Counts("FLUSH"),
    trim: new Counts("TRIM", this.#written),
    writeZeroes: new Counts("WRITE_ZEROES", this.#written),
    cache: new Counts(),
    extents: new Counts(),
  };

  constructor({ now = () => performance.now(), onSuccess }: StatisticsOptions = {}) {
    checkType(now, "the clock", "function");
    if (onSuccess !== undefined) checkType(onSuccess, "onSuccess", "function");
    this.#now = now;
    this.#onSuccess = onSuccess;
  }

  /** The numbers of an operation; they change in place, unlike those of its `snapshot`. */
  of(operation: Operation): OperationCounts & { snapshot(): OperationSnapshot } {
    return this.#operations[operation];
  }

  /** How many changes and flushes have succeeded. It grows as long as a slow export makes progress. */
  get changes(): number {
    const { write, flush, trim, writeZeroes } = this.#operations;
    return write.count + flush.count + trim.count + writeZeroes.count;
  }

  /** @param cells for how many parts of the image the coverage is told, for drawing. Default: none */
  snapshot(cells = 0): StatisticsSnapshot {
    checkWhole(cells, "the number of cells");
    const operations = Object.entries(this.#operations).map(([name, counts]) => [name, counts.snapshot()]);
    return {
      operations: Object.fromEntries(operations) as StatisticsSnapshot["operations"],
      coverage: { read: this.#read.snapshot(cells), written: this.#written.snapshot(cells) },
    };
  }

  /**
   * How much of each cell of the image was written, trimmed or made zeroes: 0 nothing, 255 all of it.
   * @param cellSize bytes of a cell: see `cellSizeFor`
   */
  written(cellSize: number): Uint8Array<ArrayBuffer> {
    return this.#written.levels(cellSize);
  }

  /**
   * An export whose calls are counted here, like those of any other that was made so.
   * @param onFailure takes the failures of `next`, except those of `cache` and `extents`, with what was asked for
   */
  over(next: Export, onFailure: OnExportError = () => {}): Export & AsyncDisposable {
    const { read, write, flush, trim, writeZeroes, cache, extents, ...passedOn } = forward(next);
    this.#read.fit(next.size);
    this.#written.fit(next.size);

    const counted = <Range extends number | Uint8Array, Options extends { signal?: AbortSignal }, Result>(
      operation: Operation,
      call: (offset: number, range: Range, options?: Options) => Promise<Result>,
    ) => {
      const counts = this.#operations[operation];
      return (offset: number, range: Range, options?: Options): Promise<Result> => {
        const length = typeof range === "number" ? range : range.byteLength;
        const startedAt = this.#now();
        let result: Promise<Result>;
        try {
          result = call(offset, range, options);
        } catch (error) {
          // An export of somebody else may throw at once, which is a failure like any other.
          result = Promise.reject(error);
        }
        counts.outstanding++;
        // The caller waits for the result after this does, and so finds the call counted.
        result.then(
          () => {
            counts.succeeded(offset, length, this.#now() - startedAt);
            this.#onSuccess?.(operation, offset, length);
          },
          (error) => {
            counts.failed(this.#now() - startedAt, options?.signal?.aborted);
            if (counts.command) onFailure(error, { command: counts.command, offset, length });
          },
        );
        return result;
      };
    };

    const flushed = counted("flush", () => flush!());
    return {
      ...passedOn,
      read: counted("read", read),
      ...(write && { write: counted("write", write) }),
      ...(flush && { flush: () => flushed(0, 0) }),
      ...(trim && { trim: counted("trim", trim) }),
      ...(writeZeroes && { writeZeroes: counted("writeZeroes", writeZeroes) }),
      ...(cache && { cache: counted("cache", cache) }),
      ...(extents && { extents: counted("extents", extents) }),
    };
  }
}

/** Counts the calls of the next export, how long they take and fail, and which of its blocks are read and written. */
export function statistics(counts: Statistics, onFailure?: OnExportError): Filter<AsyncDisposable> {
  checkMethods(counts, "the counts", "a Statistics", ["over", "snapshot"]);
  return (next) => counts.over(next, onFailure);
}
