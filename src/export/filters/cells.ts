/** The smallest cell, in bytes. */
const SECTOR = 512;

/** The most cells that an image is divided into. */
export const MOST_CELLS = 1 << 16;

/**
 * Bytes of a cell, if an image is divided into cells for drawing: the least power of two, at least 512, with which there are
 * no more than `most` cells, which is 1 to `MOST_CELLS`.
 * @param size bytes of the image
 */
export function cellSizeFor(size: number, most: number): number {
  let cellSize = SECTOR;
  while (size / cellSize > most) cellSize *= 2;
  return cellSize;
}
