import { Pieces } from "../filters/pieces.ts";
import type { Change, MakeAgain } from "./change.ts";
import type { UnflushedShare } from "./unflushed-memory.ts";

/** What a piece costs besides the bytes that were written, so that the number of very short ones is bounded too. */
const PIECE_WEIGHT = 512;

/** A change that was acknowledged, with all that is needed to make it again. */
interface Kept {
  /** When it was acknowledged, as `UnflushedChanges.moment`. */
  readonly moment: number;
  /** Absent when it cannot be made again. */
  again: MakeAgain | undefined;
  /** Bytes of data that it holds. */
  bytes: number;
  /** How many pieces are left of it. */
  pieces: number;
}

/** A range whose last acknowledged change is not known to be on stable storage. */
export interface UnflushedPiece {
  readonly start: number;
  readonly end: number;
  readonly kept: Kept;
}

/**
 * What was acknowledged since the last flush. Of changes of the same bytes only the last one is kept, so the pieces have no
 * bytes in common and can be made again in any order.
 */
export class UnflushedChanges {
  readonly #memory: UnflushedShare;
  #pieces = new Pieces<UnflushedPiece>();
  #moment = 0;

  constructor(memory: UnflushedShare) {
    this.#memory = memory;
  }

  /** Now: what was acknowledged up to here is covered by a flush that begins now. */
  get moment(): number {
    return this.#moment;
  }

  /**
   * Takes note of a change that was acknowledged. One that is on stable storage is not kept, but nothing older may be made again
   * over it: that would take it back.
   * @returns false when there is no room; nothing was noted. Then a flush has to come before the change is acknowledged
   */
  add(change: Change): boolean {
    const { start, end, bytes, options } = change;
    if (start === end) return true;
    const isStable = options?.fua === true;
    const splits = this.#pieces.within(start, end).some((piece) => piece.start < start && piece.end > end);
    const pieces = (splits ? 1 : 0) + (isStable ? 0 : 1);
    const weight = pieces * PIECE_WEIGHT + (isStable ? 0 : bytes);
    if (weight > 0 && !this.#memory.take(weight)) return false;
    this.#takeOut(start, end);
    if (isStable) return true;
    const kept: Kept = { moment: ++this.#moment, again: change.keep(), bytes, pieces: 1 };
    this.#pieces.add({ start, end, kept });
    return true;
  }

  /** A flush has succeeded that began at a moment. */
  flushed(moment: number): void {
    const left = new Pieces<UnflushedPiece>();
    for (const piece of this.all()) {
      if (piece.kept.moment > moment) left.add(piece);
      else this.#release(piece);
    }
    this.#pieces = left;
  }

  /** Whether any byte of a range has an acknowledged change that is not flushed. */
  has(start: number, end: number): boolean {
    return this.#pieces.has(start, end);
  }

  /** All that has to be made again where it may be lost, in the order of the offsets. */
  all(): readonly UnflushedPiece[] {
    return this.#pieces.within(0, Number.POSITIVE_INFINITY);
  }

  /** It will never be made again: the data is given up. Which ranges it was about stays known. */
  giveUp(): void {
    for (const { kept } of this.all()) {
      this.#memory.release(kept.bytes);
      kept.bytes = 0;
      kept.again = undefined;
    }
  }

  /** Takes a range out. Where that makes two pieces of one, there is memory for the second. */
  #takeOut(start: number, end: number) {
    for (const piece of this.#pieces.within(start, end)) {
      this.#pieces.remove(piece);
      const { kept } = piece;
      const before = piece.start < start;
      const behind = piece.end > end;
      if (before) this.#pieces.add({ start: piece.start, end: start, kept });
      if (behind) this.#pieces.add({ start: end, end: piece.end, kept });
      if (before && behind) kept.pieces++;
      else if (!before && !behind) this.#release(piece);
    }
  }

  #release({ kept }: UnflushedPiece) {
    const isLast = --kept.pieces === 0;
    this.#memory.release(PIECE_WEIGHT + (isLast ? kept.bytes : 0));
  }
}
