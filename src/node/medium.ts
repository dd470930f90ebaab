import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { deviceNumber } from "./device-number.ts";
import { hasErrno } from "./system-call-error.ts";

/** What can be exported of what is open. */
export interface Medium {
  /** Bytes. */
  size: number;
  /** The folder in sysfs of a block device. */
  sysfs?: string;
}

/**
 * What is behind a handle.
 * @throws Error when it is neither a file nor a block device, or of more bytes than a number holds exactly
 */
export async function mediumOf(handle: Pick<FileHandle, "stat">): Promise<Medium> {
  const stats = await handle.stat({ bigint: true });
  refuseOthers(stats);
  if (stats.isFile()) return { size: exact(stats.size) };
  // stat(2) gives no size for a block device; sysfs gives it in sectors of 512 bytes whatever its block size.
  const sysfs = `/sys/dev/block/${deviceNumber(stats.rdev)}`;
  const sectors = await readFile(`${sysfs}/size`, "ascii");
  return { size: exact(BigInt(sectors.trim()) * 512n), sysfs };
}

/**
 * Opens a file or block device. Nothing else is opened at all: a FIFO would wait for its other end for ever, and with a
 * device of another kind opening alone may do something.
 * @throws the error of open(2), or Error in words when it is something else
 */
export async function openMedium(path: string | Buffer, writable: boolean): Promise<FileHandle> {
  const stats = await stat(path, { bigint: true });
  refuseOthers(stats);
  const access = writable ? constants.O_RDWR : constants.O_RDONLY;
  // A drive is asked for its medium only without O_NONBLOCK.
  if (!stats.isFile()) return open(path, access);
  try {
    // What has been put in its place meanwhile does not hold this up either.
    return await open(path, access | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    // Somebody holds a lease on the file (fcntl(2), F_SETLEASE), and is given time to let go of it.
    if (hasErrno(error, "EAGAIN")) return open(path, access);
    throw error;
  }
}

function refuseOthers(stats: BigIntStats): void {
  if (stats.isFile() || stats.isBlockDevice()) return;
  throw new Error(`it is ${kindOf(stats)}, and neither a file nor a block device`);
}

function kindOf(stats: BigIntStats): string {
  if (stats.isDirectory()) return "a folder";
  if (stats.isFIFO()) return "a FIFO";
  if (stats.isSocket()) return "a socket";
  return "a character device";
}

/** Offsets and lengths are numbers, which hold no more. */
function exact(size: bigint): number {
  if (size < 0n || size > BigInt(Number.MAX_SAFE_INTEGER)) {
    const most = Number.MAX_SAFE_INTEGER;
    throw new Error(`it has ${size} bytes, and more than ${most} cannot be served`);
  }
  return Number(size);
}
