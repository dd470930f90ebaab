import type { Keeper, MemoryBudget, MemoryShare } from "../../streams/memory-budget.ts";
import { ownMemory } from "../../streams/own-memory.ts";
import { CachedPiece } from "./cached-piece.ts";
import { Pieces } from "./pieces.ts";

/** What a piece costs besides its bytes, so that the number of very small ones is bounded too. */
const PIECE_WEIGHT = 256;

/**
 * The pieces that a cache keeps, by place and by use, with the memory that they take. Room is taken before a piece is
 * asked for. It is released when the piece is dropped, or by `releaseRoom` when the piece was dropped before it arrived.
 */
export class KeptPieces implements Keeper {
  readonly #share: MemoryShare;
  readonly #placed = new Pieces<CachedPiece>();
  /** The pieces that have arrived, the least recently used first. */
  readonly #recency = new Set<CachedPiece>();
  #usedAt = 0;

  /** @param limit bytes that may be kept at most, of what `memory` has; without that, they are its own */
  constructor(memory: MemoryBudget | undefined, limit: number) {
    this.#share = memory ? memory.share(this, limit) : ownMemory(this, limit);
  }

  /** The pieces that were used last and have arrived, `most` of them at most. */
  latest(most: number): CachedPiece[] {
    return [...this.#recency].slice(-most);
  }

  /** Whether any byte of a range is here or on its way. */
  has(start: number, end: number): boolean {
    return this.#placed.has(start, end);
  }

  /** See `Pieces.gaps`. */
  gaps(start: number, end: number, longest: number): [number, number][] {
    return this.#placed.gaps(start, end, longest);
  }

  /** Notes that the cache is in use. */
  touch(): void {
    this.#usedAt = this.#share.now();
  }

  /** The pieces of a range, each with one user more. They count as just used, so that they do not make room for the rest of the range. */
  use(start: number, end: number): CachedPiece[] {
    const pieces = this.#placed.within(start, end);
    this.touch();
    for (const piece of pieces) {
      piece.usedAt = this.#usedAt;
      if (this.#recency.delete(piece)) this.#recency.add(piece);
      piece.use();
    }
    return pieces;
  }

  /** Takes room for a piece; false if there is none. */
  takeRoom(start: number, end: number): boolean {
    return this.#share.take(end - start + PIECE_WEIGHT);
  }

  releaseRoom(start: number, end: number): void {
    this.#share.release(end - start + PIECE_WEIGHT);
  }

  /** Adds a piece that is on its way, and has room. */
  add(piece: CachedPiece): void {
    this.#placed.add(piece);
  }

  /** Notes that a piece has arrived. From now on it can be dropped to make room. */
  hold(piece: CachedPiece): void {
    piece.usedAt = this.#share.now();
    this.#recency.add(piece);
  }

  /** Takes a piece out. If it has not arrived, its room stays taken. */
  drop(piece: CachedPiece): void {
    this.#placed.remove(piece);
    if (this.#recency.delete(piece)) this.releaseRoom(piece.start, piece.end);
    piece.takeOut();
  }

  /** Takes a range out. What is left of a piece stays, in memory of its own. */
  dropRange(start: number, end: number): void {
    for (const piece of this.#placed.within(start, end)) {
      piece.use();
      this.drop(piece);
      if (piece.bytes) {
        this.#keepPart(piece, piece.start, start);
        this.#keepPart(piece, end, piece.end);
      }
      piece.leave();
    }
  }

  #keepPart({ start, bytes }: CachedPiece, from: number, to: number) {
    if (from >= to || !this.takeRoom(from, to)) return;
    const part = bytes!.slice(from - start, to - start);
    const piece = new CachedPiece(from, to, Promise.resolve(part));
    piece.arrived(part);
    this.add(piece);
    this.hold(piece);
  }

  get oldest(): number {
    for (const { usedAt } of this.#recency) return usedAt;
    return Number.POSITIVE_INFINITY;
  }

  giveUpOldest(): void {
    for (const piece of this.#recency) {
      this.drop(piece);
      return;
    }
  }

  /** Gives up everything or nothing: a reader who comes back now and then may want what was read long ago. */
  giveUpIdle(moment: number): void {
    if (this.#usedAt <= moment) this.#giveUpAll();
  }

  /** Gives up everything that has arrived, and all room. */
  close(): void {
    this.#giveUpAll();
    this.#share.close();
  }

  #giveUpAll() {
    while (this.#recency.size > 0) this.giveUpOldest();
  }
}
