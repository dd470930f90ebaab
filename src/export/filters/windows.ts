import type { Export, Filter } from "../export.ts";
import { forward } from "./forward.ts";

export interface WindowsOptions {
  /** Bytes of the window around a read in a new place, a power of two. Default 64 KiB. */
  shortest?: number;
  /** Bytes of the longest window, a power of two; longer reads are passed on as they are. Default 1 MiB. */
  longest?: number;
}

/** Somebody who reads on from where they were. */
interface Run {
  /** Where the next read is expected. */
  position: number;
  /** How far has been asked for. */
  ahead: number;
  /** Bytes that were read so far, each from where the one before ended. */
  length: number;
}

/** How many readers are told apart. */
const RUNS = 32;

const SHORTEST = 1 << 16;
const LONGEST = 1 << 20;

/**
 * Has aligned windows of the next export brought in by its `cache`, and answers reads out of them: for an export whose
 * reads cost much however short they are, as those of a browser's File do.
 *
 * The window around a read in a new place is short. It grows for whoever reads on, to no more than what they have read
 * so far: of a sequential reader who stops, no more is read in vain than that, and of a random one the short window.
 *
 * An export without `cache` is left as it is. What is made of one with it has none: its memory is for windows.
 */
export function windows(options: WindowsOptions = {}): Filter {
  return (next) => {
    if (!next.cache) return next;
    const wanted = new Windows(next, options);
    const { cache: _, ...passedOn } = forward(next);
    return {
      ...passedOn,
      read(offset, length, readOptions) {
        wanted.around(offset, length);
        return next.read(offset, length, readOptions);
      },
    };
  };
}

class Windows {
  readonly #next: Export;
  readonly #shortest: number;
  readonly #longest: number;
  /** The most recently used last. */
  readonly #runs = new Set<Run>();

  constructor(next: Export, { shortest = SHORTEST, longest = LONGEST }: WindowsOptions) {
    this.#next = next;
    this.#longest = longest;
    this.#shortest = Math.min(shortest, longest);
  }

  /** Brings in the window that a read lies in, unless that has been done for the reads before it. */
  around(offset: number, length: number): void {
    const end = offset + length;
    const run = this.#runAt(offset) ?? this.#begin(offset);
    this.#runs.delete(run);
    this.#runs.add(run);
    run.length += length;
    run.position = Math.max(run.position, end);
    if (end <= run.ahead) return;
    run.ahead = end;
    // It is a window by itself; one around it could be more than the cache takes, and would be read in vain.
    if (length >= this.#longest) return;
    const size = Math.min(this.#longest, Math.max(this.#shortest, powerOfTwo(run.length)));
    run.ahead = Math.min(this.#next.size, Math.ceil(end / size) * size);
    const from = offset - (offset % this.#shortest);
    // Whoever needs what cannot be had asks for it, and is told.
    this.#next.cache!(from, run.ahead - from).catch(() => {});
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
    return { position: offset, ahead: offset, length: 0 };
  }
}

function powerOfTwo(value: number): number {
  return 2 ** Math.floor(Math.log2(value));
}
