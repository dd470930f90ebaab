import { checkObject, checkType } from "../../streams/check.ts";
import type { AsyncDisposable } from "../../streams/disposable.ts";
import { messageOf } from "../../streams/message-of.ts";
import { checkExport } from "../check-export.ts";
import type { Export, Filter } from "../export.ts";
import { passedOn } from "./forward.ts";

export interface WatchReadsOptions {
  /** Called when reads begin to fail. The line says which read failed, and why. */
  onfailing(line: string): void;
  /** Called when reads succeed again. The line says how many had failed. */
  onworking(line: string): void;
  /** Reads a little, and rejects if that fails. While reads fail it is called every second, even if nobody reads. */
  trial?: (() => Promise<unknown>) | undefined;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

/** Milliseconds without a failed read after which reads count as working again, the first time. */
const QUIET = 1000;
/** The longest such time. It doubles each time, so that reads that fail now and then make few lines. */
const LONGEST_QUIET = 60_000;
/** Milliseconds between two trials. */
const TRIAL_INTERVAL = 1000;

/** Tells when reads of the next export begin to fail, and when they work again. A read that was given up is not a failure. */
export function watchReads(options: WatchReadsOptions): Filter<AsyncDisposable> {
  checkObject(options, "the options");
  checkType(options.onfailing, "onfailing", "function");
  checkType(options.onworking, "onworking", "function");
  if (options.trial !== undefined) checkType(options.trial, "trial", "function");
  return (next) => {
    checkExport(next);
    return watchedReads(next, options);
  };
}

/** `watchReads` of an export, without checks, for what is known to be right. */
export function watchedReads(next: Export, options: WatchReadsOptions): Export & AsyncDisposable {
  const watch = new Watch(options);
  return {
    ...passedOn(next),
    read(offset, length, readOptions) {
      const reading = next.read(offset, length, readOptions);
      reading.then(
        () => watch.succeeded(),
        (error: unknown) => {
          if (!readOptions?.signal?.aborted) watch.failed(error, offset, length);
        },
      );
      return reading;
    },
    close() {
      watch.end();
      return next.close();
    },
  };
}

class Watch {
  readonly #options: WatchReadsOptions;
  readonly #now: () => number;
  #quiet = QUIET;
  /** How many reads have failed since they last worked; 0: they work. */
  #failures = 0;
  #failedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(options: WatchReadsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  failed(error: unknown, offset: number, length: number): void {
    if (this.#isOver) return;
    this.#failedAt = this.#now();
    if (this.#failures++ > 0) return;
    this.#tryLater();
    this.#options.onfailing(failureLine(error, offset, length));
  }

  succeeded(): void {
    if (this.#failures === 0 || this.#isOver || this.#now() - this.#failedAt < this.#quiet) return;
    const failures = this.#failures;
    this.#failures = 0;
    this.#quiet = Math.min(2 * this.#quiet, LONGEST_QUIET);
    clearTimeout(this.#timer);
    this.#options.onworking(`reads succeed again; ${failures} had failed`);
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #tryLater(): void {
    const { trial } = this.#options;
    if (!trial) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      await trial().then(
        () => this.succeeded(),
        () => {},
      );
      if (this.#failures > 0 && !this.#isOver) this.#tryLater();
    }, TRIAL_INTERVAL);
  }
}

function failureLine(error: unknown, offset: number, length: number): string {
  const words = messageOf(error);
  const reading = `reading ${length} bytes at ${offset}`;
  return words.startsWith(reading) ? words : `${reading}: ${words}`;
}
