import { readFile } from "node:fs/promises";
import type { Export, RangeOptions, WriteZeroesOptions } from "../export/export.ts";
import { writeZeroesPiecewise } from "../export/zeroes.ts";
import { throwFileError } from "./file-error.ts";
import type { FileRanges } from "./file-ranges.ts";
import type { Medium } from "./medium.ts";
import { hasErrno } from "./system-call-error.ts";

/** Whether a file system, or device, has no such operation (fallocate(2)). */
const isMissing = (error: unknown) => hasErrno(error, "EOPNOTSUPP", "ENOSYS");

/** Whether a range could not be changed as a whole, for no fault of its own: it may not be aligned. */
const isUnsupported = (error: unknown) => isMissing(error) || hasErrno(error, "EINVAL");

/**
 * TRIM and WRITE_ZEROES of a file, where its file system can make holes; nothing where it cannot. As TRIM may leave a
 * range as it is, offering it where nothing comes of it would cost clients and the link for nothing.
 */
export async function fileEffects(
  ranges: FileRanges,
  medium: Medium,
  target: Required<Pick<Export, "write" | "flush">>,
): Promise<Pick<Export, "trim" | "writeZeroes">> {
  if (!(await canPunch(ranges, medium))) return {};
  let canZero = true;
  let canAllocate = true;

  /** Makes a range zeroes that are allocated; false where that can only be done by writing them. */
  async function zeroAllocated(offset: number, length: number): Promise<boolean> {
    const noZero = () => {
      canZero = false;
    };
    const noAllocate = () => {
      canAllocate = false;
    };
    if (canZero && (await done(ranges.zeroRange(offset, length), noZero))) return true;
    // So it is on tmpfs. Allocated first: where that fails, as the disk is full, nothing has been changed.
    return (
      canAllocate &&
      (await done(ranges.allocate(offset, length), noAllocate)) &&
      (await done(ranges.punchHole(offset, length))) &&
      (await done(ranges.allocate(offset, length)))
    );
  }

  return {
    async trim(offset, length, { fua = false }: RangeOptions = {}) {
      // A range that can't be discarded, as one that is not aligned, may stay as it is.
      await done(ranges.punchHole(offset, length));
      if (fua) await target.flush();
    },
    async writeZeroes(offset, length, options: WriteZeroesOptions = {}) {
      const isDone = options.noHole
        ? await zeroAllocated(offset, length)
        : await done(ranges.punchHole(offset, length));
      if (!isDone) return writeZeroesPiecewise(target, offset, length, options);
      if (options.fua) await target.flush();
    },
  };
}

async function canPunch(ranges: FileRanges, { size, sysfs }: Medium): Promise<boolean> {
  if (sysfs !== undefined) return (await mostZeroed(sysfs)) !== 0;
  // Asked of a byte beyond the end, which changes nothing.
  return ranges.punchHole(size, 1).then(
    () => true,
    (error: unknown) => !isMissing(error),
  );
}

/** How many bytes a block device makes zeroes at once, without being written to; undefined where that is not known. */
async function mostZeroed(sysfs: string): Promise<number | undefined> {
  // A partition has no queue, the device that it is of has.
  for (const folder of [sysfs, `${sysfs}/..`]) {
    const text = await readFile(`${folder}/queue/write_zeroes_max_bytes`, "ascii").catch(() => undefined);
    if (text !== undefined) return Number(text);
  }
  return undefined;
}

/**
 * Whether a range was changed as it was to be; false where its file system cannot do that.
 * @param onMissing called when it cannot do so with any range
 * @throws ExportError when it can, and has failed
 */
async function done(change: Promise<void>, onMissing?: () => void): Promise<boolean> {
  try {
    await change;
    return true;
  } catch (error) {
    if (!isUnsupported(error)) throwFileError()(error as Error);
    if (isMissing(error)) onMissing?.();
    return false;
  }
}
