import { cellSizeFor, MOST_CELLS } from "./cells.ts";

/** The most blocks that are told apart: 8 KiB of memory, however large the image is. */
const MOST_BLOCKS = MOST_CELLS;
const BYTES = MOST_BLOCKS / 8;

export interface CoverageSnapshot {
  /** Bytes of an image's block: a power of two, at least 512, so large that the image has no more than 65,536 blocks. */
  blockSize: number;
  /** Bytes of the blocks that were met at least in part. */
  bytesCovered: number;
  /** The same as a part of the image, 0 to 1. */
  fraction: number;
  /** For equal parts of the image, in order, how much of each was met, in percent: 0 only if nothing was, 100 only if all was. */
  cells: number[];
}

/** Which blocks of an image were met by some operation. */
export class Coverage {
  #size = 0;
  #blocks = 0;
  #blockSize = cellSizeFor(0, MOST_BLOCKS);
  /** A bit for each block; absent until something is marked. */
  #bits: Uint8Array | undefined;
  #blocksCovered = 0;

  /** Bytes of a block. It doubles when the image becomes too large for it. */
  get blockSize(): number {
    return this.#blockSize;
  }

  /** Bytes of the blocks that were met at least in part. */
  get bytesCovered(): number {
    const last = this.#blocks - 1;
    const beyond = last >= 0 && this.#has(last) ? (last + 1) * this.#blockSize - this.#size : 0;
    return this.#blocksCovered * this.#blockSize - beyond;
  }

  /** Makes room for an image of this size, in bytes. What was marked stays. */
  fit(size: number): void {
    if (size <= this.#size) return;
    this.#size = size;
    const blockSize = cellSizeFor(size, MOST_BLOCKS);
    while (this.#blockSize < blockSize) this.#double();
    this.#blocks = Math.ceil(size / this.#blockSize);
  }

  /** Marks a range of the image, in bytes. */
  mark(offset: number, length: number): void {
    if (length === 0) return;
    this.#bits ??= new Uint8Array(BYTES);
    const bits = this.#bits;
    const last = Math.min(this.#blocks - 1, Math.floor((offset + length - 1) / this.#blockSize));
    for (let block = Math.floor(offset / this.#blockSize); block <= last; block++) {
      // A range may be as long as the image: blocks that were met already are passed over by eights.
      while ((block & 7) === 0 && block + 7 <= last && bits[block >> 3] === 0xff) block += 8;
      if (block > last) break;
      const bit = 1 << (block & 7);
      if (bits[block >> 3]! & bit) continue;
      bits[block >> 3]! |= bit;
      this.#blocksCovered++;
    }
  }

  /** Whether a block that has any byte of a range was met. */
  has(offset: number, length: number): boolean {
    const last = Math.min(this.#blocks - 1, Math.floor((offset + length - 1) / this.#blockSize));
    for (let block = Math.floor(offset / this.#blockSize); block <= last; block++) {
      if (this.#has(block)) return true;
    }
    return false;
  }

  /** @param cells how many parts of the image are told of, at most; fewer where it has fewer blocks */
  snapshot(cells = 0): CoverageSnapshot {
    const blocks = this.#blocks;
    const count = Math.min(cells, blocks);
    const bytesCovered = this.bytesCovered;
    return {
      blockSize: this.#blockSize,
      bytesCovered,
      fraction: this.#size > 0 ? bytesCovered / this.#size : 0,
      cells: Array.from({ length: count }, (_, cell) =>
        this.#part(Math.floor((cell * blocks) / count), Math.floor(((cell + 1) * blocks) / count), 100),
      ),
    };
  }

  /**
   * How much of each cell of the image was met: 0 nothing, 255 all of it.
   * @param cellSize bytes of a cell, a power of two that is no less than a block
   */
  levels(cellSize: number): Uint8Array<ArrayBuffer> {
    const blocks = cellSize / this.#blockSize;
    return new Uint8Array(Math.ceil(this.#size / cellSize)).map((_, cell) => {
      const from = cell * blocks;
      return this.#part(from, Math.min(this.#blocks, from + blocks), 255);
    });
  }

  #has(block: number): boolean {
    return this.#bits !== undefined && (this.#bits[block >> 3]! & (1 << (block & 7))) !== 0;
  }

  /** How much of some blocks was met, from 0, nothing, to `all`. */
  #part(from: number, to: number, all: number): number {
    let covered = 0;
    for (let block = from; block < to; block++) {
      // Most images are mostly untouched.
      if ((block & 7) === 0 && block + 8 <= to && !this.#bits?.[block >> 3]) block += 7;
      else if (this.#has(block)) covered++;
    }
    return covered === to - from ? all : Math.ceil(((all - 1) * covered) / (to - from));
  }

  /** Makes one block of each two. */
  #double() {
    const before = this.#bits;
    this.#blockSize *= 2;
    this.#blocks = MOST_BLOCKS / 2;
    this.#blocksCovered = 0;
    if (!before) return;
    this.#bits = new Uint8Array(BYTES);
    for (let block = 0; block < MOST_BLOCKS; block++) {
      if (before[block >> 3]! & (1 << (block & 7))) this.mark((block >> 1) * this.#blockSize, 1);
    }
  }
}
