import { checkAmount } from "../../streams/check.ts";
import { giveBack } from "../../streams/lent.ts";
import type { Export, Filter } from "../export.ts";
import { cache } from "./cache.ts";
import { forward } from "./forward.ts";

export interface WindowsOptions {
  /** Bytes of memory. */
  budget: number;
}

/** Somebody who reads on from where they were. */
interface Run {
  /** Where the next read is expected. */
  position: number;
  /** How far has been asked for. */
  ahead: number;
  /** Bytes that were read so far, each from where the one before ended. */
  length: number;
  /** When it read last, and when a window was brought in for it, in reads of all. */
  readAt: number;
  broughtAt: number;
  /** Where the window begins that is on its way, and when it is there or has failed. */
  from: number;
  arrival?: Promise<void> | undefined;
}

/** How many readers are told apart. */
const RUNS = 32;

/** The window around a read in a new place, in bytes: a read of so much of a File takes hardly longer than one of 4 KiB. */
const SHORTEST = 1 << 16;

/** The same where all of the export can be kept: then nothing is read in vain, and it is soon all there. */
const SHORTEST_OF_ALL = 1 << 19;

/** The longest window; larger ones bring little more. */
const LONGEST = 1 << 22;

/** How many of the longest windows there is room for, at least: a cache takes no longer pieces. */
const MOST = 4;

/** A read holds the window that its bytes lie in until they have left; a smaller part of a large window goes as a copy. */
const PART = 16;

/**
 * Reads aligned windows of the next export into memory, and answers out of them: for an export whose reads cost much
 * however short they are, as those of a browser's File do.
 *
 * The window around a read in a new place is short. It grows for whoever reads on, to no more than what they have read
 * so far: of a sequential reader who stops, no more is read in vain than that, and of a random one the short window.
 */
export function windows({ budget } = {} as WindowsOptions): Filter {
  checkAmount(budget, "the budget of windows, in bytes,");
  return (next) => {
    if (budget < MOST) return next;
    const kept = cache({ budget })(next);
    const wanted = new Windows(kept, budget);
    // Without `cache`: it is not for the other side to say what this memory is used for.
    const { cache: _, ...passedOn } = forward(kept);
    return {
      ...passedOn,
      async read(offset, length, options) {
        // Once it is there it is one piece, whose bytes are handed on as they are; what spans several is copied.
        const arrival = wanted.around(offset, length);
        if (arrival) await arrival;
        const bytes = await kept.read(offset, length, options);
        if (bytes.buffer.byteLength <= Math.max(SHORTEST, PART * length)) return bytes;
        const part = bytes.slice();
        giveBack(bytes);
        return part;
      },
    };
  };
}

class Windows {
  readonly #kept: Export;
  readonly #budget: number;
  readonly #shortest: number;
  readonly #longest: number;
  /** The most recently used last. */
  readonly #runs = new Set<Run>();
  #reads = 0;

  constructor(kept: Export, budget: number) {
    this.#kept = kept;
    this.#budget = budget;
    this.#longest = Math.min(LONGEST, powerOfTwo(budget / MOST));
    this.#shortest = Math.min(this.#longest, kept.size <= budget ? SHORTEST_OF_ALL : SHORTEST);
  }

  /**
   * Brings in the window that a read lies in, unless that has been done for the reads before it. What it returns resolves
   * when the window is there or has failed, whoever needed it first.
   */
  around(offset: number, length: number): Promise<void> | undefined {
    const end = offset + length;
    const run = this.#runAt(offset) ?? this.#begin(offset);
    this.#runs.delete(run);
    this.#runs.add(run);
    run.readAt = ++this.#reads;
    run.length += length;
    run.position = Math.max(run.position, end);
    const { ahead } = run;
    if (end <= ahead) return end > run.from ? run.arrival : undefined;
    run.ahead = end;
    // It is a window by itself; one around it could be more than the cache takes, and would be read in vain.
    if (length >= this.#longest) return undefined;
    const size = this.#sizeFor(run);
    run.ahead = Math.min(this.#kept.size, Math.ceil(end / size) * size);
    run.broughtAt = this.#reads;
    run.from = Math.max(ahead, offset - (offset % this.#shortest));
    const arrival: Promise<void> = this.#kept.cache!(run.from, run.ahead - run.from)
      // Whoever needs what cannot be had asks for it, and is told.
      .catch(() => {})
      .then(() => {
        if (run.arrival === arrival) run.arrival = undefined;
      });
    run.arrival = arrival;
    return arrival;
  }

  /** The length of a reader's next window: all who read beside it need room for theirs. */
  #sizeFor({ length, broughtAt }: Run): number {
    let others = 0;
    for (const run of this.#runs) if (run.readAt > broughtAt && run.length > this.#shortest) others++;
    const share = powerOfTwo(this.#budget / 2 / Math.max(1, others));
    return Math.max(this.#shortest, Math.min(this.#longest, share, powerOfTwo(length)));
  }

  /** The reader who is expected at an offset, or somewhere in what was brought in for them. */
  #runAt(offset: number): Run | undefined {
    for (const run of this.#runs) {
      if (offset === run.position || (offset > run.position && offset < run.ahead)) return run;
    }
    return undefined;
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

function powerOfTwo(value: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, value)));
}
