import { checkAmount, checkMethods } from "../../streams/check.ts";
import { deferred } from "../../streams/deferred.ts";
import { giveBack } from "../../streams/lent.ts";
import { type Keeper, MemoryBudget, type MemoryShare } from "../../streams/memory-budget.ts";
import { unlessAborted } from "../../streams/unless-aborted.ts";
import { Errno, ExportError } from "../error.ts";
import type { Export, Filter, ReadOptions } from "../export.ts";
import { payloadOfRead } from "../payload-of-read.ts";
import { CachedPiece } from "./cached-piece.ts";
import { forward } from "./forward.ts";
import { Pieces } from "./pieces.ts";

export interface CacheOptions {
  /** Bytes that are kept in memory, those on their way included. */
  budget: number;
  /** A budget, shared with others, in which these bytes count. Default: none, and what was read is kept even if nobody reads. */
  memory?: MemoryBudget | undefined;
  /** Whether a read that is about to be made, of so many bytes, is not worth keeping. Default: all are. */
  isPassing?(length: number): boolean;
}

/** A piece that a read has use of, and whether it was asked for by this very read. */
interface Covering {
  piece: CachedPiece;
  isOwn: boolean;
}

/** What is asked for begins and ends on multiples of this many bytes, or of the export's minimum if that is more. */
const SECTOR = 512;

/** What a piece costs besides its bytes, so that very many very small ones are bounded too. */
const PIECE_WEIGHT = 256;

/** A read longer than this part of the budget goes past the cache: it would push out all else. */
const LARGEST_PART = 4;

/**
 * Keeps what was read, up to a budget, the least recently used going first. Reads at the same time share what is on
 * its way: no byte is asked for twice. `cache` brings a range in that nobody waits for; it resolves when that is
 * there, or when there was no room, and rejects when it failed, which fails no read.
 *
 * A write, trim or zero takes its range out when it settles, whether it has failed or not. What was asked for before
 * that may carry the old bytes, so it is never kept: it goes only to those who asked before.
 */
export function cache(options = {} as CacheOptions): Filter {
  const { budget, memory } = options;
  checkAmount(budget, "the budget of a cache, in bytes,");
  if (memory !== undefined) checkMethods(memory, "the memory", "a MemoryBudget", ["share"]);
  return (next) => {
    const passedOn = forward(next);
    const kept = new Cache(next, options);
    const cached: Export = {
      ...passedOn,
      read: (offset, length, options) => kept.read(offset, length, options),
      cache: (offset, length) => kept.bring(offset, offset + length),
      close: () => kept.close(),
    };
    if (next.write) {
      cached.write = (offset, data, options) =>
        kept.change(offset, offset + data.byteLength, () => next.write!(offset, data, options));
    }
    if (next.trim) {
      cached.trim = (offset, length, options) =>
        kept.change(offset, offset + length, () => next.trim!(offset, length, options));
    }
    if (next.writeZeroes) {
      cached.writeZeroes = (offset, length, options) =>
        kept.change(offset, offset + length, () => next.writeZeroes!(offset, length, options));
    }
    return cached;
  };
}

class Cache implements Keeper {
  readonly #next: Export;
  readonly #budget: number;
  readonly #share: MemoryShare;
  readonly #isPassing: CacheOptions["isPassing"];
  readonly #grain: number;
  readonly #longest: number;
  readonly #pieces = new Pieces<CachedPiece>();
  /** The pieces that are there, the least recently used first. */
  readonly #recency = new Set<CachedPiece>();
  readonly #onTheirWay = new Set<CachedPiece>();
  /** How many of these do not count in the budget, as there was no room: they are not kept. */
  #withoutRoom = 0;
  /** When something was last read out of it, or brought in. */
  #usedAt = 0;
  #isClosed = false;

  constructor(next: Export, { budget, memory = new MemoryBudget(budget), isPassing }: CacheOptions) {
    this.#isPassing = isPassing;
    this.#next = next;
    this.#budget = Math.min(budget, memory.limit);
    this.#share = memory.share(this, this.#budget);
    this.#grain = Math.max(SECTOR, next.blockSize?.minimum ?? 1);
    const longest = next.blockSize?.maximum ?? Number.POSITIVE_INFINITY;
    this.#longest = Math.max(this.#grain, longest - (longest % this.#grain || 0));
  }

  /** Not async: a read that passes, or that lies in one piece, waits for no more than its bytes. */
  read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    if (options.signal?.aborted) return Promise.reject(options.signal.reason);
    if (this.#isClosed) return Promise.reject(closedError());
    if (length === 0) return Promise.resolve(new Uint8Array(0));
    // What is there, or on its way, is used all the same: no byte is asked for twice.
    const isPassing = this.#isPassing?.(length) && !this.#pieces.has(offset, offset + length);
    if (isPassing || length > this.#budget / LARGEST_PART) return this.#next.read(offset, length, options);
    const end = offset + length;
    const pieces = this.#cover(offset, end);
    if (pieces.length === 1) return this.#readPart(pieces[0]!, offset, end, options.signal);
    return this.#readAcross(pieces, offset, end, options.signal);
  }

  async #readAcross(
    pieces: readonly Covering[],
    offset: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const result = new Uint8Array(end - offset);
    const copy = (bytes: Uint8Array, start: number) => {
      const from = Math.max(offset, start);
      const to = Math.min(end, start + bytes.byteLength);
      result.set(bytes.subarray(from - start, to - start), from - offset);
    };
    const waiting: Promise<void>[] = [];
    for (const { piece, isOwn } of pieces) {
      // At once: it may be gone, or changed, by the time that the others are there.
      if (piece.bytes) {
        copy(piece.bytes, piece.start);
        piece.leave();
      } else {
        const arrived = this.#await(piece, isOwn, offset, end, signal);
        waiting.push(arrived.then(([bytes, at]) => copy(bytes, at)).finally(() => piece.leave()));
      }
    }
    await unlessAborted(Promise.all(waiting), signal);
    return result;
  }

  /** A read that lies in one piece is given a part of its bytes, not a copy. */
  #readPart(
    { piece, isOwn }: Covering,
    offset: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const part = ([bytes, start]: [Uint8Array, number]) =>
      piece.leaveWith(bytes.subarray(offset - start, end - start));
    if (piece.bytes) return Promise.resolve(part([piece.bytes, piece.start]));
    const failed = (error: unknown) => {
      piece.leave();
      throw error;
    };
    return unlessAborted(this.#await(piece, isOwn, offset, end, signal).then(part, failed), signal);
  }

  /** The bytes of a piece that is on its way, and where they begin. What others asked for in vain is asked for again. */
  async #await(
    { start, end, arrival }: CachedPiece,
    isOwn: boolean,
    from: number,
    to: number,
    signal: AbortSignal | undefined,
  ): Promise<[Uint8Array, number]> {
    try {
      return [await arrival, start];
    } catch (error) {
      if (isOwn || this.#isClosed) throw error;
      const first = Math.max(from, start);
      const again = await this.#next.read(first, Math.min(to, end) - first, signal && { signal });
      return [again, first];
    }
  }

  async bring(start: number, end: number): Promise<void> {
    if (this.#isClosed) throw closedError();
    const most = Math.min(end, start + this.#budget / LARGEST_PART);
    const arrivals: Promise<unknown>[] = [];
    this.#usedAt = this.#share.now();
    for (const [from, to] of this.#gaps(start, most)) {
      // While there is no room for what somebody waits for, there is none for this.
      if (this.#withoutRoom > 0 || !this.#share.take(weight(from, to))) break;
      arrivals.push(this.#ask(from, to, true, new AbortController()).arrival);
    }
    await Promise.all(arrivals);
  }

  async change(start: number, end: number, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } finally {
      this.#takeOut(start, end);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { giveUp } of this.#onTheirWay) giveUp?.abort(closedError());
    const gone = Promise.allSettled([...this.#onTheirWay].map(({ arrival }) => arrival));
    try {
      // Before they are: what is on its way may never arrive unless the next export gives it up.
      await this.#next.close();
    } finally {
      await gone;
      while (this.#recency.size > 0) this.giveUpOldest();
      this.#share.close();
    }
  }

  /** The pieces of a range, each with one user more; what is in none is asked for. */
  #cover(start: number, end: number): Covering[] {
    // What is there already counts as just used, or it would be the first to make room for the rest.
    const there = this.#pieces.within(start, end);
    this.#usedAt = this.#share.now();
    for (const piece of there) {
      piece.usedAt = this.#usedAt;
      if (this.#recency.delete(piece)) this.#recency.add(piece);
      piece.use();
    }
    const covering = there.map((piece) => ({ piece, isOwn: false }));
    for (const [from, to] of this.#gaps(start, end)) {
      const piece = this.#ask(from, to, this.#share.take(weight(from, to)));
      piece.use();
      covering.push({ piece, isOwn: true });
    }
    return covering;
  }

  /** What of a range is in no piece, in ranges that the next export takes. */
  #gaps(start: number, end: number): [number, number][] {
    const gaps: [number, number][] = [];
    const { size } = this.#next;
    let at = start - (start % this.#grain);
    const last = Math.min(size, Math.ceil(end / this.#grain) * this.#grain);
    const until = (limit: number) => {
      for (; at < limit; at = Math.min(limit, at + this.#longest)) {
        gaps.push([at, Math.min(limit, at + this.#longest)]);
      }
    };
    for (const piece of this.#pieces.within(at, last)) {
      until(piece.start);
      at = piece.end;
    }
    until(last);
    return gaps;
  }

  /** Asks for a range. Without room it goes to those who wait for it, and is not kept. */
  #ask(start: number, end: number, hasRoom: boolean, giveUp?: AbortController): CachedPiece {
    const { promise, resolve, reject } = deferred<Uint8Array>();
    const piece = new CachedPiece(start, end, promise, giveUp);
    this.#onTheirWay.add(piece);
    if (hasRoom) this.#pieces.add(piece);
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
      if (piece.isKept) this.#hold(piece);
      return bytes;
    } catch (error) {
      if (piece.isKept) this.#pieces.remove(piece);
      piece.takeOut();
      throw error;
    } finally {
      this.#onTheirWay.delete(piece);
      if (!hasRoom) this.#withoutRoom--;
      else if (!piece.isKept) this.#share.release(weight(start, end));
    }
  }

  #hold(piece: CachedPiece) {
    piece.usedAt = this.#share.now();
    this.#recency.add(piece);
  }

  get oldest(): number {
    for (const { usedAt } of this.#recency) return usedAt;
    return Number.POSITIVE_INFINITY;
  }

  giveUpOldest(): void {
    for (const piece of this.#recency) {
      this.#drop(piece);
      return;
    }
  }

  /** All or nothing: a reader who comes back now and then may want what was read long ago. */
  giveUpIdle(moment: number): void {
    while (this.#usedAt <= moment && this.#recency.size > 0) this.giveUpOldest();
  }

  #drop(piece: CachedPiece) {
    this.#pieces.remove(piece);
    if (this.#recency.delete(piece)) this.#share.release(weight(piece.start, piece.end));
    piece.takeOut();
  }

  /** Takes a range out. What is left of a piece stays, in memory of its own. */
  #takeOut(start: number, end: number) {
    const from = start - (start % this.#grain);
    const to = Math.ceil(end / this.#grain) * this.#grain;
    for (const piece of this.#pieces.within(from, to)) {
      piece.use();
      this.#drop(piece);
      if (piece.bytes) {
        this.#keepPart(piece, piece.start, from);
        this.#keepPart(piece, to, piece.end);
      }
      piece.leave();
    }
  }

  #keepPart({ start, bytes }: CachedPiece, from: number, to: number) {
    if (from >= to || !this.#share.take(weight(from, to))) return;
    const part = bytes!.slice(from - start, to - start);
    const piece = new CachedPiece(from, to, Promise.resolve(part));
    piece.arrived(part);
    this.#pieces.add(piece);
    this.#hold(piece);
  }
}

function weight(start: number, end: number): number {
  return end - start + PIECE_WEIGHT;
}

/** Bytes that hold no more memory than they have: what comes off a link may be a small part of a large message. */
function whole(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength <= bytes.byteLength + SECTOR ? bytes : bytes.slice();
}

function closedError(): ExportError {
  return new ExportError(Errno.ESHUTDOWN, "the export was closed");
}
