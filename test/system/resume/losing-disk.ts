import type { Export } from "../../../src/export/export.ts";

const SECTOR = 512;

/**
 * A disk with a cache that is lost when the process is killed. What is written goes into the cache or past it, as chance has it;
 * a flush brings the cache to the export behind it, in any order. So of what was not flushed any part is lost.
 */
export function losingDisk(next: Export): Export {
  /** What is not on the export behind it, by the number of the sector. */
  const cached = new Map<number, Uint8Array>();
  let last: Promise<unknown> = Promise.resolve();

  /** Changes of the export behind it are made one after the other: an older one never comes last. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  }

  async function writePast(offset: number, data: Uint8Array): Promise<void> {
    await next.write!(offset, data);
    for (let at = 0; at < data.byteLength; at += SECTOR) cached.delete((offset + at) / SECTOR);
  }

  async function write(offset: number, data: Uint8Array, { fua = false } = {}): Promise<void> {
    if (fua || Math.random() < 0.5) return inTurn(() => writePast(offset, data));
    await inTurn(async () => {
      for (let at = 0; at < data.byteLength; at += SECTOR)
        cached.set((offset + at) / SECTOR, new Uint8Array(data.subarray(at, at + SECTOR)));
    });
  }

  return {
    size: next.size,
    blockSize: { minimum: SECTOR, preferred: 4096, maximum: 1 << 25 },
    async read(offset, length) {
      const bytes = new Uint8Array(await next.read(offset, length));
      for (let at = 0; at < length; at += SECTOR) {
        const sector = cached.get((offset + at) / SECTOR);
        if (sector) bytes.set(sector, at);
      }
      return bytes;
    },
    write,
    trim: async () => {},
    writeZeroes: (offset, length, options) => write(offset, new Uint8Array(length), options),
    flush: () =>
      inTurn(async () => {
        const sectors = [...cached].sort(() => Math.random() - 0.5);
        for (const [sector, bytes] of sectors) await writePast(sector * SECTOR, bytes);
      }),
    close: () => next.close(),
  };
}
