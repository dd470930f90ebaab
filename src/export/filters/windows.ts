import { checkAmount } from "../../streams/check.ts";
import type { AsyncDisposable } from "../../streams/disposable.ts";
import { giveBack } from "../../streams/lent.ts";
import { checkExport } from "../check-export.ts";
import type { Export, Filter } from "../export.ts";
import { Cache } from "./cache.ts";
import { passedOn } from "./forward.ts";
import { powerOfTwo } from "./power-of-two.ts";
import { type SequentialReader, SequentialReaders } from "./sequential-readers.ts";

export interface WindowsOptions {
  /** Bytes of memory. */
  budget: number;
}

interface Run extends SequentialReader {
  /** Bytes that were read so far, each from where the one before ended. */
  length: number;
  /** When it read last, and when a window was brought in for it, as numbers of reads of all readers. */
  readAt: number;
  broughtAt: number;
  /** Where the window begins that is on its way, and what resolves when it is there or has failed. */
  from: number;
  arrival?: Promise<void> | undefined;
}

/** How many readers are told apart. */
const RUNS = 32;

/** The window around a read in a new place, in bytes: to read that much of a File takes hardly longer than to read 4 KiB. */
const SHORTEST = 1 << 16;

/** The same where all of the export can be kept: then nothing is read in vain, and all of it is soon there. */
const SHORTEST_OF_ALL = 1 << 19;

/** The longest window, in bytes; longer ones hardly save any more time. */
const LONGEST = 1 << 22;

/** How many of the longest windows there is room for, at least: a cache takes no longer pieces. */
const MOST = 4;

/** The least budget, in bytes, with which there are windows at all. */
export const LEAST_BUDGET = MOST;

/** A part smaller than this one of a long window is copied: a read holds the window that its bytes lie in until they are sent. */
const PART = 16;

/**
 * Reads aligned windows of the next export into memory, and answers out of them. This helps where even short reads cost
 * much, as those of a browser's File do.
 *
 * The window around a read in a new place is short. The next windows of a reader that reads on are longer, but no longer
 * than what it has read so far. So a sequential reader that stops wastes no more than it has used, and a random reader
 * wastes no more than the short window.
 */
export function windows({ budget } = {} as WindowsOptions): Filter<AsyncDisposable> {
  checkAmount(budget, "the budget of windows, in bytes,");
  return (next) => {
    checkExport(next);
    return windowsOver(next, budget);
  };
}

/** `windows` over an export, without checks, for what is known to be right. */
export function windowsOver(next: Export, budget: number): Export & AsyncDisposable {
  return budget < LEAST_BUDGET ? passedOn(next) : windowsIn(new Cache(next, { budget }), budget);
}

/** `windows` in a cache that was made for this, so that who made it can look into it. The budget is at least `LEAST_BUDGET`. */
export function windowsIn({ export: kept }: Cache, budget: number): Export & AsyncDisposable {
  const wanted = new Windows(kept, budget);
  // The export has no `cache`: the other side must not decide what this memory is used for.
  const { cache: _, ...others } = passedOn(kept);
  return {
    ...others,
    async read(offset, length, options) {
      // A window is one piece, whose bytes are handed on as they are. A read that spans several pieces is copied.
      const arrival = wanted.around(offset, length);
      if (arrival) await arrival;
      const bytes = await kept.read(offset, length, options);
      if (bytes.buffer.byteLength <= Math.max(SHORTEST, PART * length)) return bytes;
      const part = bytes.slice();
      giveBack(bytes);
      return part;
    },
  };
}

class Windows {
  readonly #kept: Export;
  readonly #budget: number;
  readonly #shortest: number;
  readonly #longest: number;
  readonly #runs = new SequentialReaders<Run>();
  #reads = 0;

  constructor(kept: Export, budget: number) {
    this.#kept = kept;
    this.#budget = budget;
    this.#longest = Math.min(LONGEST, powerOfTwo(budget / MOST));
    this.#shortest = Math.min(this.#longest, kept.size <= budget ? SHORTEST_OF_ALL : SHORTEST);
  }

  /**
   * Brings in the window that a read lies in, unless that was done for an earlier read. What it returns resolves when the
   * window is there or has failed; undefined if there is nothing to wait for.
   */
  around(offset: number, length: number): Promise<void> | undefined {
    const end = offset + length;
    const run = this.#runs.at(offset) ?? this.#begin(offset);
    this.#runs.use(run);
    run.readAt = ++this.#reads;
    run.length += length;
    run.position = Math.max(run.position, end);
    const { ahead } = run;
    if (end <= ahead) return end > run.from ? run.arrival : undefined;
    run.ahead = end;
    // So long a read is a window by itself. The cache may not take one around it, which would then be read in vain.
    if (length >= this.#longest) return undefined;
    const size = this.#sizeFor(run);
    run.ahead = Math.min(this.#kept.size, Math.ceil(end / size) * size);
    run.broughtAt = this.#reads;
    run.from = Math.max(ahead, offset - (offset % this.#shortest));
    const arrival: Promise<void> = this.#kept.cache!(run.from, run.ahead - run.from)
      // A read that needs these bytes asks for them again, and is told what is wrong.
      .catch(() => {})
      .then(() => {
        if (run.arrival === arrival) run.arrival = undefined;
      });
    run.arrival = arrival;
    return arrival;
  }

  /** The length of a reader's next window. The other readers of the time need room for theirs. */
  #sizeFor({ length, broughtAt }: Run): number {
    let others = 0;
    for (const run of this.#runs) if (run.readAt > broughtAt && run.length > this.#shortest) others++;
    const share = powerOfTwo(this.#budget / 2 / Math.max(1, others));
    return Math.max(this.#shortest, Math.min(this.#longest, share, powerOfTwo(length)));
  }

  #begin(offset: number): Run {
    if (this.#runs.size >= RUNS) {
      const [oldest] = this.#runs;
      this.#runs.delete(oldest!);
    }
    const start = offset - (offset % this.#shortest);
    return {
      position: offset,
      ahead: start,
      length: 0,
      readAt: this.#reads,
      broughtAt: this.#reads,
      from: start,
    };
  }
}
