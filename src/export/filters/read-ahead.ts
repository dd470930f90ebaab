import { checkAmount, checkMethods, checkObject } from "../../streams/check.ts";
import type { Export, Filter } from "../export.ts";
import { forward } from "./forward.ts";
import type { Pace } from "./pace.ts";

export interface ReadAheadOptions {
  /** What the reads on the link say of it; the filter `paced` with it stands below, nearest to the link. */
  pace: Pace;
  /**
   * Bytes that may be ahead of all readers together: what the cache below can hold besides what it is read for. It is looked
   * at anew each time, so a getter may change it.
   */
  readonly limit: number;
  /** The longest request, in bytes. Default 256 KiB: one that is needed now waits behind no longer one. */
  longest?: number;
  /** Whether a read that is about to be made, of so many bytes, needs nobody to read ahead of it. Default: none does. */
  isPassing?(length: number): boolean;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

/** Somebody who reads on from where they were. */
interface Stream {
  /** Where the next read is expected. */
  position: number;
  /** How far has been asked for. */
  ahead: number;
  /** Bytes that were read so far, each from where the one before ended: what it has shown to be worth. */
  run: number;
  /** Bytes that it may be ahead on credit, before it has shown anything. */
  advance: number;
  /** What of the credit was spent on it and has not been read yet. */
  owed: number;
  reads: number;
  /** Somebody has said that it will come, so that its advance costs no credit. */
  isTold: boolean;
  usedAt: number;
}

/** How many readers are told apart. */
const STREAMS = 64;

/** Milliseconds after which a reader that has stopped counts no more. */
const IDLE = 10_000;

/** Bytes that are asked for at a time, at least; also what requests are aligned to. */
const PAGE = 4096;
const SHORTEST = 1 << 15;
const LONGEST = 1 << 18;

/** The most that a reader is given ahead at its first read. */
const ADVANCE = 1 << 16;

/** What may be read ahead in vain of readers that have shown nothing yet. */
const CREDIT = 1 << 18;

/** What is read at random earns a little credit, so that a change of habit is found out. */
const EARNING = 1 / 8;

/**
 * Recognises sequential readers, several at once, and has what they will read brought in before they ask, by the
 * next export's `cache`. A reader is given ahead at most as much as it has read in sequence, besides its first advance, so
 * the waste of one that stops is hardly more than what it had use of; and all of them at most what the link needs to be busy (`Pace`).
 * What is needed now is always asked for first.
 *
 * Whoever reads in a new place may turn out to be such a reader, and on a long way each round trip counts: a first
 * advance is given on credit. Advances that are read give back twice what they cost, those that are not are
 * lost, so a random load soon gets none: on it no more than twice the bytes asked for are read.
 *
 * An export without `cache` is left as it is.
 */
export function readAhead(options: ReadAheadOptions): Filter {
  checkObject(options, "the options");
  checkMethods(options.pace, "the pace", "a Pace", ["sent", "answered"]);
  checkAmount(options.limit, "the limit of a read-ahead, in bytes,");
  checkAmount(options.longest ?? LONGEST, "the longest request of a read-ahead, in bytes,", 1);
  return (next) => {
    const passedOn = forward(next);
    if (!next.cache) return next;
    const reader = new ReadAhead(next, options);
    return {
      ...passedOn,
      read(offset, length, readOptions) {
        const { outstanding } = options.pace;
        const isPassing = options.isPassing?.(length) ?? false;
        const reading = next.read(offset, length, readOptions);
        reader.follow(offset, length, options.pace.outstanding > outstanding);
        if (!isPassing) reader.pump();
        return reading;
      },
      async cache(offset, length) {
        reader.expect(offset, length);
      },
      close() {
        reader.stop();
        return next.close();
      },
    };
  };
}

class ReadAhead {
  readonly #next: Export;
  readonly #pace: Pace;
  readonly #options: Pick<ReadAheadOptions, "limit">;
  readonly #longest: number;
  readonly #now: () => number;
  /** The most recently used last. */
  readonly #streams = new Set<Stream>();
  #credit = CREDIT;
  #isStopped = false;

  constructor(next: Export, options: ReadAheadOptions) {
    const { pace, longest = LONGEST, now = () => performance.now() } = options;
    this.#next = next;
    this.#pace = pace;
    this.#options = options;
    this.#longest = Math.min(longest, LONGEST);
    this.#now = now;
  }

  /** Takes note of a read that has just been passed on. */
  follow(offset: number, length: number, isMiss: boolean): void {
    const end = offset + length;
    let stream = this.#streamAt(offset);
    if (stream) {
      this.#repay(stream, end - stream.position);
      stream.run += length;
      stream.reads++;
      stream.position = Math.max(stream.position, end);
      stream.ahead = Math.max(stream.ahead, end);
    } else if (isMiss) {
      this.#credit = Math.min(CREDIT, this.#credit + length * EARNING);
      stream = this.#begin(end, length);
      stream.advance = this.#credit >= this.#chunk ? Math.min(this.#chunk, ADVANCE) : 0;
    }
    if (stream) this.#use(stream);
  }

  /** Takes note of what somebody says will be read soon. */
  expect(offset: number, length: number): void {
    const stream = this.#begin(offset, 0);
    stream.advance = Math.min(length, this.#options.limit);
    stream.isTold = true;
    this.#use(stream);
    this.pump();
  }

  stop(): void {
    this.#isStopped = true;
    this.#streams.clear();
  }

  /** The reader who is expected at an offset, or has been given what is there. */
  #streamAt(offset: number): Stream | undefined {
    for (const stream of this.#streams) {
      if (offset === stream.position || (offset > stream.position && offset < stream.ahead)) return stream;
    }
    return undefined;
  }

  #begin(position: number, run: number): Stream {
    const now = this.#now();
    for (const stream of this.#streams) if (now - stream.usedAt > IDLE) this.#streams.delete(stream);
    if (this.#streams.size >= STREAMS) this.#streams.delete(this.#leastUseful());
    return { position, ahead: position, run, advance: 0, owed: 0, reads: 1, isTold: false, usedAt: now };
  }

  /** Those who have read but once go first: a random load must not make sequential readers forgotten. */
  #leastUseful(): Stream {
    let oldest: Stream | undefined;
    for (const stream of this.#streams) {
      if (stream.reads === 1) return stream;
      oldest ??= stream;
    }
    return oldest!;
  }

  #use(stream: Stream) {
    stream.usedAt = this.#now();
    this.#streams.delete(stream);
    this.#streams.add(stream);
  }

  #repay(stream: Stream, bytes: number) {
    const used = Math.min(stream.owed, Math.max(0, bytes));
    stream.owed -= used;
    this.#credit = Math.min(CREDIT, this.#credit + 2 * used);
  }

  /** Bytes of a request: several at a time must be on their way for the link to be busy. */
  get #chunk(): number {
    return Math.min(this.#longest, Math.max(SHORTEST, powerOfTwo(this.#pace.target / 4)));
  }

  /** Asks for as much as the link has room for, those readers first who have least ahead of them. */
  pump() {
    if (this.#isStopped) return;
    for (;;) {
      const { target, outstanding } = this.#pace;
      const chosen = this.#neediest(target);
      if (!chosen) return;
      if (outstanding > 0 && outstanding + chosen.bytes > target) return;
      this.#ask(chosen.stream, chosen.bytes);
    }
  }

  #neediest(target: number): { stream: Stream; bytes: number } | undefined {
    let total = 0;
    for (const { position, ahead } of this.#streams) total += ahead - position;
    const chunk = this.#chunk;
    const { limit } = this.#options;
    let least = Number.POSITIVE_INFINITY;
    let found: { stream: Stream; bytes: number } | undefined;
    for (const stream of this.#streams) {
      const { position, ahead, run, advance, reads } = stream;
      const lead = ahead - position;
      if (lead >= least || ahead >= this.#next.size) continue;
      const shown = reads > 1 ? Math.min(run, target) : 0;
      const allowed = Math.min(advance + shown, limit - total + lead);
      // Of random readers none may have more: looking no further at them is a tenth of what a read of theirs costs.
      if (lead + PAGE > allowed) continue;
      const bytes = Math.min(chunk, Math.max(PAGE, powerOfTwo(allowed / 2)));
      if (lead + bytes > allowed) continue;
      least = lead;
      found = { stream, bytes };
    }
    return found;
  }

  #ask(stream: Stream, bytes: number) {
    const from = stream.ahead;
    // Down, as what is asked for must not be more than is allowed: the rest of it is asked for next, not a round trip later.
    const to = Math.min(
      this.#next.size,
      Math.max(from + bytes - ((from + bytes) % PAGE), from + PAGE - (from % PAGE)),
    );
    stream.ahead = to;
    const outstanding = this.#pace.outstanding;
    const arrival = this.#next.cache!(from, to - from);
    // Some of it, or all, may have been there.
    const asked = this.#pace.outstanding - outstanding;
    if (stream.reads === 1 && !stream.isTold) {
      stream.owed += asked;
      this.#credit -= asked;
    }
    arrival.then(
      () => this.pump(),
      // Whoever needs these bytes asks for them; what comes after is not worth asking for before that.
      () => this.#streams.delete(stream),
    );
  }
}

/** The highest power of two that is not above a value of less than 2 GiB. */
function powerOfTwo(value: number): number {
  return 1 << (31 - Math.clz32(Math.max(1, value)));
}
