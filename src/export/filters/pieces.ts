/** A range of an export's bytes that is in memory, or on its way there. */
export interface Piece {
  /** Its first byte, as an offset. */
  readonly start: number;
  /** The offset behind its last byte. */
  readonly end: number;
  /** Absent while it is on its way. */
  bytes?: Uint8Array;
}

/** Pieces that do not overlap, in the order of their offsets. */
export class Pieces<P extends Piece> {
  readonly #sorted: P[] = [];

  /** The pieces that have bytes in a range, in order. */
  within(start: number, end: number): P[] {
    const from = this.#after(start);
    let to = from;
    while (to < this.#sorted.length && this.#sorted[to]!.start < end) to++;
    return this.#sorted.slice(from, to);
  }

  /** Whether any piece has bytes in a range. */
  has(start: number, end: number): boolean {
    const first = this.#sorted[this.#after(start)];
    return first !== undefined && first.start < end;
  }

  /** The parts of a range that are in no piece, as starts and ends, in order; each has at most `longest` bytes. */
  gaps(start: number, end: number, longest: number): [number, number][] {
    const gaps: [number, number][] = [];
    let at = start;
    const until = (limit: number) => {
      for (; at < limit; at = Math.min(limit, at + longest)) gaps.push([at, Math.min(limit, at + longest)]);
    };
    for (const piece of this.within(start, end)) {
      until(piece.start);
      at = piece.end;
    }
    until(end);
    return gaps;
  }

  /** Adds a piece where there was none. */
  add(piece: P): void {
    this.#sorted.splice(this.#after(piece.start), 0, piece);
  }

  /** Removes a piece that is there. */
  remove(piece: P): void {
    this.#sorted.splice(this.#after(piece.start), 1);
  }

  /** The index of the first piece that ends after an offset. */
  #after(offset: number): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sorted[middle]!.end > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
