import { checkMethods } from "../streams/check.ts";
import { type AsyncDisposable, disposable } from "../streams/disposable.ts";
import { giveBack } from "../streams/lent.ts";
import { spareMemory } from "../streams/reused-memory.ts";
import { blobFault } from "./blob-fault.ts";
import { BlobReading } from "./blob-reading.ts";
import { sampleOf } from "./blob-sample.ts";
import { Errno, ExportError } from "./error.ts";
import type { Export, ReadOptions } from "./export.ts";

/** Reads of at least this many bytes go through a stream into reused buffers: a new buffer costs more than a stream. */
const LONG = 1 << 19;

/** How many sequential readers are told apart. */
const READERS = 8;

/**
 * Exports a Blob or File, read-only. A read fails with EIO if the file was changed or removed since it was chosen.
 *
 * The bytes of long reads are lent: once given back (`giveBack`), their buffer is reused. Left to a page's garbage collector,
 * many buffers would pile up.
 *
 * Firefox does not notice that a File was changed. So a sample of the file is compared while it is read, ten times a second at
 * most. If the sample differs, every read fails until it is the same again.
 *
 * Long sequential reads share one stream, since each new stream costs the browser much.
 */
export function blobExport(blob: Blob): Export & AsyncDisposable {
  checkMethods(blob, "what is exported", "a File or Blob", ["slice", "arrayBuffer"]);
  const sample = sampleOf(blob);
  /** The streams of sequential readers, and the ends of recent long reads. The most recent is last. */
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

  /** The bytes: none if the file has become shorter, undefined if they must be read without a stream. */
  async function readLong(offset: number, length: number, signal: AbortSignal | undefined) {
    const reading = readingAt(offset, length);
    hasByteStreams = reading !== undefined;
    endedAt.delete(offset);
    endedAt.add(offset + length);
    if (endedAt.size > READERS) forgetFirst(endedAt);
    const bytes = await reading?.read(length, spareMemory, signal);
    // Chromium checks whether the file was changed only when it opens a stream.
    if (bytes && reading?.start !== offset) await blob.slice(offset, offset + 1).arrayBuffer();
    return bytes;
  }

  function forgetReadings() {
    for (const reading of readings) reading.cancel();
    readings.clear();
  }

  return disposable({
    size: blob.size,
    async read(offset: number, length: number, { signal }: ReadOptions = {}) {
      signal?.throwIfAborted();
      const doing = `reading ${length} bytes at ${offset}`;
      let bytes: Uint8Array | undefined;
      try {
        if (sample?.isInDoubt) {
          // These streams may have been opened on a file that replaced it.
          forgetReadings();
          await sample.look();
        }
        // It runs beside the read, which takes no longer for it.
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
  });
}

/** Removes the first element, and returns it. */
function forgetFirst<T>(set: Set<T>): T | undefined {
  const [first] = set;
  if (first !== undefined) set.delete(first);
  return first;
}
