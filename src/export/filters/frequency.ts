import { cellSizeFor } from "./cells.ts";

/** How often parts of an image were met by some operation. It takes 8 bytes of memory for each cell. */
export class Frequency {
  /** Bytes of a cell, a power of two; the last one may be shorter. */
  readonly cellSize: number;
  readonly #size: number;
  readonly #bytes: Float64Array;

  /**
   * @param size bytes of the image
   * @param most how many cells there are at most, 1 to `MOST_CELLS`
   */
  constructor(size: number, most: number) {
    this.cellSize = cellSizeFor(size, most);
    this.#size = size;
    this.#bytes = new Float64Array(Math.ceil(size / this.cellSize));
  }

  /** How many cells there are. */
  get cells(): number {
    return this.#bytes.length;
  }

  /** Counts a range, in bytes. What lies beyond the image counts for nothing. */
  mark(offset: number, length: number): void {
    const end = Math.min(this.#size, offset + length);
    let cell = Math.floor(offset / this.cellSize);
    for (let at = offset; at < end; cell++) {
      const next = Math.min(end, (cell + 1) * this.cellSize);
      this.#bytes[cell]! += next - at;
      at = next;
    }
  }

  /** How often the bytes of a cell were met, on average. */
  timesOf(cell: number): number {
    return this.#bytes[cell]! / Math.min(this.cellSize, this.#size - cell * this.cellSize);
  }
}
