import { blobFault } from "./blob-fault.ts";
import { Errno, ExportError } from "./error.ts";

/** The length of each place that is compared, in bytes. */
const PLACE = 4096;

/**
 * Offsets at which two images differ: the boot sector and partition table, the first volume descriptor of ISO 9660, the file
 * system of a first partition at 1 MiB. The middle and the end, with the copy of a partition table, are compared too.
 */
const BEGINNINGS = [0, 1 << 15, 1 << 20];

/** Milliseconds between two comparisons while the file is read. */
const INTERVAL = 100;

const samples = new WeakMap<File, BlobSample>();

/** The sample of a File, always the same one. Undefined for any other Blob: its bytes cannot change. */
export function sampleOf(blob: Blob): BlobSample | undefined {
  if (!(blob instanceof File)) return undefined;
  const sample = samples.get(blob) ?? new BlobSample(blob);
  samples.set(blob, sample);
  return sample;
}

/**
 * A few places of a File, which show whether it can be read, and whether it is still the file that was chosen.
 *
 * Browsers must refuse to read a file that was changed since it was chosen (File API, "Snapshot state"). Firefox reads the
 * new bytes, while size and `lastModified` stay the old ones. So only the bytes show the change.
 */
export class BlobSample {
  readonly #places: Blob;
  #bytes: Uint8Array | undefined;
  #looking: Promise<void> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #isInDoubt = false;

  constructor(blob: Blob) {
    const offsets = [...BEGINNINGS, blob.size / 2, blob.size - PLACE].map((offset) =>
      Math.max(0, Math.floor(offset)),
    );
    // Joined in one Blob, the slices take one read. A file that was removed before its size was asked for has 0 bytes in
    // Chromium, and only to read all of it fails.
    const slices = [...new Set(offsets)].map((offset) => blob.slice(offset, offset + PLACE));
    this.#places = blob.size > 0 ? new Blob(slices) : blob;
  }

  /** Whether the last comparison failed. Then call `look` before anything else is read. */
  get isInDoubt(): boolean {
    return this.#isInDoubt;
  }

  /** A comparison, perhaps one that is under way. Undefined if the last one was less than INTERVAL ago. */
  lookIfDue(): Promise<void> | undefined {
    if (this.#looking) return this.#looking;
    return performance.now() - this.#lookedAt < INTERVAL ? undefined : this.look();
  }

  /**
   * Reads the places. The first time that it succeeds, it keeps the bytes; later it compares with them.
   * @throws ExportError if the file cannot be read, or has other bytes there
   */
  look(): Promise<void> {
    if (this.#looking) return this.#looking;
    this.#lookedAt = performance.now();
    const over = (isInDoubt: boolean) => {
      this.#isInDoubt = isInDoubt;
      this.#looking = undefined;
    };
    const looking = this.#compare();
    this.#looking = looking;
    looking.then(
      () => over(false),
      () => over(true),
    );
    return looking;
  }

  async #compare(): Promise<void> {
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(await this.#places.arrayBuffer());
    } catch (cause) {
      throw blobFault(cause);
    }
    if (bytes.byteLength !== this.#places.size) throw changed("it has become shorter");
    this.#bytes ??= bytes;
    if (bytes.some((byte, at) => byte !== this.#bytes![at])) throw changed("it has other bytes");
  }
}

function changed(how: string): ExportError {
  return new ExportError(Errno.EIO, `the file was changed since it was chosen: ${how}`);
}
