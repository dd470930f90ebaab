import { checkMethods } from "../streams/check.ts";
import { giveBack } from "../streams/lent.ts";
import { spareMemory } from "../streams/reused-memory.ts";
import { blobFault } from "./blob-fault.ts";
import { BlobReading } from "./blob-reading.ts";
import { sampleOf } from "./blob-sample.ts";
import { Errno, ExportError } from "./error.ts";
import type { Export } from "./export.ts";

/** Reads of so many bytes go into memory of earlier ones that has been given back: to fetch new memory costs more than to set up a stream. */
const LONG = 1 << 19;

/** How many readers that read on from where they were are told apart. */
const READERS = 8;

/**
 * Exports a Blob or File, read-only. A read fails with EIO when the file was changed or removed since. The bytes belong to
 * the reader, who may give them back (`giveBack`): they are read into again then, where a page would leave them to its
 * garbage collector, which lets 64 MiB pile up.
 *
 * Firefox does not see that a File was changed. So a sample of it is looked at beside the reads, ten times a second; when it
 * is not what it was, every read fails until it is again.
 *
 * Who makes long reads, each from where the one before ended, is given one stream for all of them: with a stream for each
 * read of 4 MiB Chromium's browser process took two thirds more time.
 */
export function blobExport(blob: Blob): Export {
  checkMethods(blob, "what is exported", "a File or Blob", ["slice", "arrayBuffer"]);
  const sample = sampleOf(blob);
  /** Those that will be read on, and where long reads ended of late; the most recent last. */
  const readings = new Set<BlobReading>();
  const endedAt = new Set<number>();
  let hasByteStreams = true;

  function readingAt(offset: number, length: number): BlobReading | undefined {
    for (const reading of readings) {
      if (reading.isOver) readings.delete(reading);
      else if (reading.position === offset) {
        readings.delete(reading);
        readings.add(reading);
        return reading;
      }
    }
    const isNext = endedAt.has(offset);
    const reading = BlobReading.of(blob, offset, isNext ? blob.size : offset + length);
    if (reading && isNext) {
      readings.add(reading);
      if (readings.size > READERS) forgetFirst(readings)?.end();
    }
    return reading;
  }

  /** The bytes, none where they have become fewer; undefined where they are to be had only in another way. */
  async function readLong(offset: number, length: number, signal: AbortSignal | undefined) {
    const reading = readingAt(offset, length);
    hasByteStreams = reading !== undefined;
    endedAt.delete(offset);
    endedAt.add(offset + length);
    if (endedAt.size > READERS) forgetFirst(endedAt);
    const bytes = await reading?.read(length, spareMemory, signal);
    // Chromium looks whether the file has changed where it opens a stream, and not while it reads.
    if (bytes && reading?.start !== offset) await blob.slice(offset, offset + 1).arrayBuffer();
    return bytes;
  }

  function forgetReadings() {
    for (const reading of readings) reading.cancel();
    readings.clear();
  }

  return {
    size: blob.size,
    async read(offset, length, { signal } = {}) {
      signal?.throwIfAborted();
      const doing = `reading ${length} bytes at ${offset}`;
      let bytes: Uint8Array | undefined;
      try {
        if (sample?.isInDoubt) {
          // They may have begun in a file that took its place.
          forgetReadings();
          await sample.look();
        }
        // At the same time, so that the read takes no longer.
        const look = sample?.lookIfDue();
        look?.catch(() => {});
        if (length >= LONG && hasByteStreams) bytes = await readLong(offset, length, signal);
        bytes ??= new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
        if (look) await look;
      } catch (cause) {
        if (bytes) giveBack(bytes);
        signal?.throwIfAborted();
        throw blobFault(cause, doing);
      }
      if (bytes.byteLength !== length) {
        throw new ExportError(Errno.EIO, `${doing}: the file has become shorter`);
      }
      return bytes;
    },
    async close() {
      forgetReadings();
    },
  };
}

/** Takes the first element out. */
function forgetFirst<T>(set: Set<T>): T | undefined {
  const [first] = set;
  if (first !== undefined) set.delete(first);
  return first;
}
