import type { Export } from "../export.ts";

/** What was read so far, and how fast. */
export interface ReadProgress {
  /** Reads that have succeeded. */
  readonly reads: number;
  readonly bytesRead: number;
  /** In the last second or so; 0 when nothing was read meanwhile. */
  readonly bytesPerSecond: number;
  /** When a read has last succeeded, in milliseconds since 1970. Undefined before the first one. */
  readonly lastReadAt: number | undefined;
}

/** Milliseconds from one report to the next. */
const INTERVAL = 250;

/** Milliseconds over which a rate is taken, at least. */
const SPAN = 1000;

/**
 * Counts the reads of an export, and reports them: every quarter of a second while something is read, once more when nothing
 * was read for a second, and at the end. (`statistics` counts more, and is long for a page's script.)
 */
export class ReadMeter {
  readonly counts = { reads: 0, bytesRead: 0 };
  readonly #tell: (progress: ReadProgress) => void;
  readonly #now: () => number;
  #lastReadAt: number | undefined;
  /** What had been read when, in order; for as long as something is read. */
  #marks: { at: number; bytesRead: number }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #counted: Export | undefined;

  /** @param now milliseconds of a clock that never goes back */
  constructor(tell: (progress: ReadProgress) => void, now: () => number = () => performance.now()) {
    this.#tell = tell;
    this.#now = now;
  }

  /** An export whose reads are counted until `end()`. There is one at a time. */
  over(next: Export): Export {
    const counted: Export = {
      ...next,
      read: (offset, length, options) => {
        const reading = next.read(offset, length, options);
        reading.then(
          () => {
            if (this.#counted === counted) this.#count(length);
          },
          () => {},
        );
        return reading;
      },
    };
    this.#counted = counted;
    return counted;
  }

  /** Reports for the last time. */
  end(): void {
    this.#counted = undefined;
    this.#rest();
    this.#report(0);
  }

  #count(length: number) {
    if (!this.#timer) {
      this.#mark();
      this.#tickLater();
    }
    this.counts.reads++;
    this.counts.bytesRead += length;
    this.#lastReadAt = Date.now();
  }

  #tickLater() {
    this.#timer = setTimeout(() => this.#tick(), INTERVAL);
  }

  #tick() {
    const last = this.#mark();
    while (last.at - this.#marks[1]!.at >= SPAN) this.#marks.shift();
    const [first] = this.#marks;
    const rate = (1000 * (last.bytesRead - first!.bytesRead)) / (last.at - first!.at);
    if (rate > 0) this.#tickLater();
    else this.#rest();
    this.#report(Math.round(rate));
  }

  #mark() {
    const mark = { at: this.#now(), bytesRead: this.counts.bytesRead };
    this.#marks.push(mark);
    return mark;
  }

  #rest() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#marks = [];
  }

  #report(bytesPerSecond: number) {
    this.#tell({ ...this.counts, bytesPerSecond, lastReadAt: this.#lastReadAt });
  }
}
