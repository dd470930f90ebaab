import { checkAmount, checkMethods } from "../../streams/check.ts";
import { deferred } from "../../streams/deferred.ts";
import type { AsyncDisposable } from "../../streams/disposable.ts";
import { giveBack } from "../../streams/lent.ts";
import type { MemoryBudget } from "../../streams/memory-budget.ts";
import { checkExport } from "../check-export.ts";
import { Errno, ExportError } from "../error.ts";
import type { Export, Filter, ReadOptions } from "../export.ts";
import { payloadOfRead } from "../payload-of-read.ts";
import { CachedPiece } from "./cached-piece.ts";
import { type AskAgain, type Covering, readPieces } from "./covering.ts";
import { passedOn } from "./forward.ts";
import { KeptPieces } from "./kept-pieces.ts";
import type { Piece } from "./pieces.ts";

export interface CacheOptions {
  /** Bytes that are kept in memory, including those that are on their way. */
  budget: number;
  /** A budget, shared with others, in which these bytes count. Default: none, so what was read is kept even if nobody reads. */
  memory?: MemoryBudget | undefined;
}

/** What follows the reads of a cache, to bring in what will be read next. */
export interface CacheFollower {
  /**
   * Takes note of a read, in the turn in which it reaches the cache, after the cache has asked for what was missing. Filters
   * above the cache may have delayed it until then.
   * @param isMiss whether anything was missing
   */
  read(offset: number, length: number, isMiss: boolean): void;
  /** Takes note of what a client says will be read soon. The cache itself does nothing then. */
  expect(offset: number, length: number): void;
}

/** Requests begin and end on multiples of this many bytes, or of the export's minimum block size if that is more. */
const SECTOR = 512;

/** A read longer than this part of the budget goes past the cache: it would push out everything else. */
const LARGEST_PART = 4;

/**
 * Keeps what was read, up to a budget; the least recently used bytes go first. Reads at the same time share what is on
 * its way. A read of more than a quarter of the budget goes past the cache.
 *
 * The export's `cache` brings a range in before a read needs it. It resolves when the range is there, or when there is no
 * room for it. It rejects when that failed, which fails no read.
 *
 * A write, trim or zero takes its range out when it settles, whether it succeeds or not. What was asked for before that may
 * have the old bytes, so it is never kept, and only reads that came before are given it.
 */
export function cache(options = {} as CacheOptions): Filter<AsyncDisposable> {
  checkOptions(options);
  return (next) => new ReadCache(next, options).export;
}

/** What `ReadCache` is, without checks, for what is known to be right. */
export class Cache {
  /** The next export, read through the cache. Its `close` closes the cache. */
  readonly export: Export & AsyncDisposable;
  /** It is told of the reads and hints of `export`. */
  follower: CacheFollower | undefined;
  readonly #next: Export;
  readonly #budget: number;
  readonly #kept: KeptPieces;
  readonly #grain: number;
  readonly #longest: number;
  readonly #onTheirWay = new Set<CachedPiece>();
  #outstanding = 0;
  /** How many of the pieces on their way do not count in the budget, as there was no room: they are not kept. */
  #withoutRoom = 0;
  #isClosed = false;

  constructor(next: Export, { budget, memory }: CacheOptions) {
    this.export = this.#exportOf(next);
    this.#next = next;
    this.#budget = Math.min(budget, memory?.limit ?? budget);
    this.#kept = new KeptPieces(memory, this.#budget);
    this.#grain = Math.max(SECTOR, next.blockSize?.minimum ?? 1);
    const longest = next.blockSize?.maximum ?? Number.POSITIVE_INFINITY;
    this.#longest = Math.max(this.#grain, longest - (longest % this.#grain || 0));
  }

  #exportOf(next: Export): Export & AsyncDisposable {
    const { write, trim, writeZeroes, ...others } = passedOn(next);
    return {
      ...others,
      read: (offset, length, options) => this.read(offset, length, options, this.follower),
      ...(write && {
        write: (offset, data, options) =>
          this.#change(offset, data.byteLength, () => write(offset, data, options)),
      }),
      ...(trim && {
        trim: (offset, length, options) => this.#change(offset, length, () => trim(offset, length, options)),
      }),
      ...(writeZeroes && {
        writeZeroes: (offset, length, options) =>
          this.#change(offset, length, () => writeZeroes(offset, length, options)),
      }),
      cache: async (offset, length) =>
        this.follower ? this.follower.expect(offset, length) : this.bring(offset, length).arrival,
      close: () => this.#close(),
    };
  }

  /** Bytes of the next export that the cache has asked for and that have not arrived. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** The pieces that were used last, `most` of them at most; their bytes are the cache's, and may be gone a turn later. */
  latest(most: number): Piece[] {
    return this.#kept.latest(most);
  }

  /** Whether any byte of a range is here or on its way. */
  has(offset: number, length: number): boolean {
    return this.#kept.has(offset, offset + length);
  }

  /** The parts of a range that are neither here nor on their way, as starts and ends, in order, in ranges that the next export takes. */
  gaps(start: number, end: number): [number, number][] {
    return this.#kept.gaps(this.#down(start), Math.min(this.#next.size, this.#up(end)), this.#longest);
  }

  /** Reads a range. The cache's own follower is not told, only the one that is given here. */
  read(
    offset: number,
    length: number,
    options: ReadOptions = {},
    follower?: CacheFollower,
  ): Promise<Uint8Array> {
    if (options.signal?.aborted) return Promise.reject(options.signal.reason);
    if (this.#isClosed) return Promise.reject(closedError());
    if (length === 0) return Promise.resolve(new Uint8Array(0));
    let reading: Promise<Uint8Array>;
    let isMiss = true;
    if (length > this.#budget / LARGEST_PART) reading = this.#pass(offset, length, options);
    else {
      const end = offset + length;
      const pieces = this.#cover(offset, end);
      isMiss = pieces.some(({ isOwn }) => isOwn);
      reading = readPieces(pieces, offset, end, this.#askAgain, options.signal);
    }
    follower?.read(offset, length, isMiss);
    return reading;
  }

  /** Brings in what is missing of a range, as far as there is room, and tells how many bytes it has asked for. */
  bring(offset: number, length: number): { asked: number; arrival: Promise<void> } {
    if (this.#isClosed) return { asked: 0, arrival: Promise.reject(closedError()) };
    const arrivals: Promise<unknown>[] = [];
    let asked = 0;
    this.#kept.touch();
    for (const [from, to] of this.gaps(offset, offset + Math.min(length, this.#budget / LARGEST_PART))) {
      // While there is no room for what a read waits for, there is none for this.
      if (this.#withoutRoom > 0 || !this.#kept.takeRoom(from, to)) break;
      arrivals.push(this.#ask(from, to, true, new AbortController()).arrival);
      asked += to - from;
    }
    return { asked, arrival: Promise.all(arrivals).then(() => {}) };
  }

  /** Reads past the cache. */
  #pass(offset: number, length: number, options: ReadOptions): Promise<Uint8Array> {
    const reading = this.#next.read(offset, length, options);
    const over = () => {
      this.#outstanding -= length;
    };
    this.#outstanding += length;
    reading.then(over, over);
    return reading;
  }

  async #change(offset: number, length: number, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } finally {
      this.#kept.dropRange(this.#down(offset), this.#up(offset + length));
    }
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    for (const { giveUp } of this.#onTheirWay) giveUp?.abort(closedError());
    const gone = Promise.allSettled([...this.#onTheirWay].map(({ arrival }) => arrival));
    try {
      // It is not closed after them: what is on its way may never arrive unless the next export gives it up.
      await this.#next.close();
    } finally {
      await gone;
      this.#kept.close();
    }
  }

  /** What another read has asked for in vain is asked for again, for the reads that waited for it. */
  readonly #askAgain: AskAgain = async (offset, length, signal, error) => {
    if (this.#isClosed) throw error;
    return this.#next.read(offset, length, signal && { signal });
  };

  /** The pieces of a range, each with one user more. What is in none is asked for. */
  #cover(start: number, end: number): Covering[] {
    const covering = this.#kept.use(start, end).map((piece) => ({ piece, isOwn: false }));
    for (const [from, to] of this.gaps(start, end)) {
      const piece = this.#ask(from, to, this.#kept.takeRoom(from, to));
      piece.use();
      covering.push({ piece, isOwn: true });
    }
    return covering;
  }

  #down(offset: number): number {
    return offset - (offset % this.#grain);
  }

  #up(offset: number): number {
    return Math.ceil(offset / this.#grain) * this.#grain;
  }

  /** Asks for a range. Without room only those who wait for it are given it, and it is not kept. */
  #ask(start: number, end: number, hasRoom: boolean, giveUp?: AbortController): CachedPiece {
    const { promise, resolve, reject } = deferred<Uint8Array>();
    const piece = new CachedPiece(start, end, promise, giveUp);
    this.#onTheirWay.add(piece);
    this.#outstanding += end - start;
    if (hasRoom) this.#kept.add(piece);
    else {
      this.#withoutRoom++;
      piece.takeOut();
    }
    this.#fetch(piece, hasRoom).then(resolve, reject);
    return piece;
  }

  async #fetch(piece: CachedPiece, hasRoom: boolean): Promise<Uint8Array> {
    const { start, end, giveUp } = piece;
    try {
      const payload = await this.#next.read(start, end - start, giveUp && { signal: giveUp.signal });
      const received = payloadOfRead(payload, start, end - start);
      const bytes = whole(received);
      if (bytes !== received) giveBack(received);
      piece.arrived(bytes);
      if (piece.isKept) this.#kept.hold(piece);
      return bytes;
    } catch (error) {
      if (piece.isKept) this.#kept.drop(piece);
      throw error;
    } finally {
      this.#onTheirWay.delete(piece);
      this.#outstanding -= end - start;
      if (!hasRoom) this.#withoutRoom--;
      else if (!piece.isKept) this.#kept.releaseRoom(start, end);
    }
  }
}

/** A cache that tells what it has, for a filter that reads ahead. See `cache`. */
export class ReadCache extends Cache {
  constructor(next: Export, options = {} as CacheOptions) {
    checkExport(next);
    checkOptions(options);
    super(next, options);
  }
}

function checkOptions({ budget, memory }: CacheOptions): void {
  checkAmount(budget, "the budget of a cache, in bytes,");
  if (memory !== undefined) checkMethods(memory, "the memory", "a MemoryBudget", ["share"]);
}

/** The same bytes, in memory that is hardly larger: what comes from a link may be a small part of a large message. */
function whole(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength <= bytes.byteLength + SECTOR ? bytes : bytes.slice();
}

function closedError(): ExportError {
  return new ExportError(Errno.ESHUTDOWN, "the export was closed");
}
