import { checkAmount, checkMethods, checkObject } from "../../streams/check.ts";
import type { AsyncDisposable } from "../../streams/disposable.ts";
import type { Export, Filter } from "../export.ts";
import type { Cache } from "./cache.ts";
import { forward } from "./forward.ts";
import type { LinkMeter } from "./link-meter.ts";
import { powerOfTwo } from "./power-of-two.ts";
import { type SequentialReader, SequentialReaders } from "./sequential-readers.ts";

export interface ReadAheadOptions {
  /**
   * The cache below. It tells which reads come to it and what of them was missing, and brings in what is asked for ahead.
   * Other filters may stand between it and the read-ahead. A cache can have one read-ahead.
   */
  cache: Cache;
  /** The measure of the link. The filter `metered` with it stands below the cache, nearest to the link. */
  meter: LinkMeter;
  /**
   * Bytes that may be ahead of all readers together: what the cache can hold besides what it is read for. It is looked at
   * anew each time, so a getter may change it.
   */
  readonly limit: number;
  /** The longest request, in bytes. Default 256 KiB: a read that is needed now waits behind no longer one. */
  longest?: number;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

interface Stream extends SequentialReader {
  /** Bytes that it has read so far, each from where the one before ended: what it has shown to be worth. */
  run: number;
  /** Bytes that it may be ahead on credit, before it has shown anything. */
  advance: number;
  /** What of the credit was spent on it and has not been read yet. */
  owed: number;
  reads: number;
  /** A client has said that it will come, so that its advance costs no credit. */
  isTold: boolean;
  usedAt: number;
}

/** How many readers are told apart. */
const STREAMS = 64;

/** Milliseconds after which a reader that has stopped counts no more. */
const IDLE = 10_000;

/** Milliseconds after which what a stopped reader has ahead takes no room from the others: the cache may give it up for them. */
const STOPPED = 1000;

/** Requests are aligned to this many bytes, and are not shorter. */
const PAGE = 4096;
/** The limits of what is asked for at a time, in bytes. */
const SHORTEST = 1 << 15;
const LONGEST = 1 << 18;

/** The most that a reader is given ahead at its first read, in bytes. */
const ADVANCE = 1 << 16;

/** Bytes that may be read ahead in vain of readers that have shown nothing yet. */
const CREDIT = 1 << 18;

/** The part of a random read's bytes that is added to the credit, so that a change of habit is found out. */
const EARNING = 1 / 8;

/**
 * Recognises sequential readers, several at once, and has the cache bring in what they will read. A reader is given ahead
 * at most as much as it has read in sequence, besides its first advance, so a reader that stops wastes hardly more than it
 * has used. All readers together are given ahead at most what the link needs to be busy (`LinkMeter`). What is needed now is
 * always asked for first.
 *
 * A read in a new place may be the first of a sequential reader, and on a long way each round trip counts: a first advance
 * is given on credit. Advances that are read give back twice what they cost, and others are lost. So a random load soon
 * gets none: no more than twice the bytes that it asks for are read.
 */
export function readAhead(options: ReadAheadOptions): Filter<AsyncDisposable> {
  checkOptions(options);
  return (next) => new ReadAhead(options).over(next);
}

/** A read-ahead that can also be told of reads that go past the cache. See `readAhead`. */
export class ReadAhead {
  readonly #cache: Cache;
  readonly #meter: LinkMeter;
  readonly #options: Pick<ReadAheadOptions, "limit">;
  readonly #longest: number;
  readonly #now: () => number;
  readonly #streams = new SequentialReaders<Stream>();
  #credit = CREDIT;
  #isStopped = false;

  constructor(options: ReadAheadOptions) {
    checkOptions(options);
    const { cache, meter, longest = LONGEST, now = () => performance.now() } = options;
    this.#cache = cache;
    this.#meter = meter;
    this.#options = options;
    this.#longest = Math.min(longest, LONGEST);
    this.#now = now;
    cache.follower = {
      read: (offset, length, isMiss) => {
        this.follow(offset, length, isMiss);
        this.#pump();
      },
      expect: (offset, length) => this.#expect(offset, length),
    };
  }

  /** An export above the cache, whose `close` ends the read-ahead. */
  over(next: Export): Export & AsyncDisposable {
    return {
      ...forward(next),
      close: () => {
        this.#isStopped = true;
        this.#streams.clear();
        return next.close();
      },
    };
  }

  /** Takes note of a read that has just been passed on, without asking for anything. */
  follow(offset: number, length: number, isMiss: boolean): void {
    const end = offset + length;
    let stream = this.#streams.at(offset);
    if (stream) {
      this.#repay(stream, end - stream.position);
      stream.run += length;
      stream.reads++;
      stream.position = Math.max(stream.position, end);
      // What was missing had been ahead, and was given up since: so may be what comes after it.
      stream.ahead = isMiss ? end : Math.max(stream.ahead, end);
    } else if (isMiss) {
      this.#credit = Math.min(CREDIT, this.#credit + length * EARNING);
      stream = this.#begin(end, length);
      stream.advance = this.#credit >= this.#chunk ? Math.min(this.#chunk, ADVANCE) : 0;
    }
    if (stream) this.#use(stream);
  }

  /** Takes note of what a client says will be read soon. */
  #expect(offset: number, length: number): void {
    const stream = this.#begin(offset, 0);
    stream.advance = Math.min(length, this.#options.limit);
    stream.isTold = true;
    this.#use(stream);
    this.#pump();
  }

  #begin(position: number, run: number): Stream {
    const now = this.#now();
    for (const stream of this.#streams) if (now - stream.usedAt > IDLE) this.#streams.delete(stream);
    if (this.#streams.size >= STREAMS) this.#streams.delete(this.#leastUseful());
    return { position, ahead: position, run, advance: 0, owed: 0, reads: 1, isTold: false, usedAt: now };
  }

  /** Readers that have read only once go first: a random load must not make sequential readers forgotten. */
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
    this.#streams.use(stream);
  }

  #repay(stream: Stream, bytes: number) {
    const used = Math.min(stream.owed, Math.max(0, bytes));
    stream.owed -= used;
    this.#credit = Math.min(CREDIT, this.#credit + 2 * used);
  }

  /** Bytes of a request: several requests must be on their way at a time to keep the link busy. */
  get #chunk(): number {
    return Math.min(this.#longest, Math.max(SHORTEST, powerOfTwo(this.#meter.target / 4)));
  }

  /** Asks for as much as the link has room for, first for the readers that have least ahead of them. */
  #pump() {
    if (this.#isStopped) return;
    for (;;) {
      const { target } = this.#meter;
      // A filter below the cache may delay what the meter counts, and the cache does not count what goes past it.
      const outstanding = Math.max(this.#meter.outstanding, this.#cache.outstanding);
      const chosen = this.#neediest(target);
      if (!chosen) return;
      if (outstanding > 0 && outstanding + chosen.bytes > target) return;
      this.#ask(chosen.stream, chosen.bytes);
    }
  }

  #neediest(target: number): { stream: Stream; bytes: number } | undefined {
    let total = 0;
    const now = this.#now();
    for (const { position, ahead, usedAt } of this.#streams) {
      if (now - usedAt < STOPPED) total += ahead - position;
    }
    const chunk = this.#chunk;
    const { limit } = this.#options;
    const { size } = this.#cache.export;
    let least = Number.POSITIVE_INFINITY;
    let found: { stream: Stream; bytes: number } | undefined;
    for (const stream of this.#streams) {
      const { position, ahead, run, advance, reads } = stream;
      const lead = ahead - position;
      if (lead >= least || ahead >= size) continue;
      const shown = reads > 1 ? Math.min(run, target) : 0;
      const allowed = Math.min(advance + shown, limit - total + lead);
      // Random readers may have no more, and there may be many (test/bench/README.md, "Random readers in read-ahead").
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
    // The end is rounded down, as no more may be asked for than is allowed. The rest is asked for next, in the same turn.
    const to = Math.min(
      this.#cache.export.size,
      Math.max(from + bytes - ((from + bytes) % PAGE), from + PAGE - (from % PAGE)),
    );
    stream.ahead = to;
    // Some of it, or all, may be there already: only what is asked for costs credit.
    const { asked, arrival } = this.#cache.bring(from, to - from);
    if (stream.reads === 1 && !stream.isTold) {
      stream.owed += asked;
      this.#credit -= asked;
    }
    arrival.then(
      () => this.#pump(),
      // A reader that needs these bytes asks for them. Before that, what comes after them is not worth asking for.
      () => this.#streams.delete(stream),
    );
  }
}

function checkOptions(options: ReadAheadOptions): void {
  checkObject(options, "the options");
  checkMethods(options.cache, "the cache", "a Cache", ["bring", "has"]);
  checkMethods(options.meter, "the meter", "a LinkMeter", ["sent", "answered"]);
  checkAmount(options.limit, "the limit of a read-ahead, in bytes,");
  checkAmount(options.longest ?? LONGEST, "the longest request of a read-ahead, in bytes,", 1);
}
