import { closeSync, constants, lstatSync, openSync, rmSync } from "node:fs";

/** Milliseconds after which the process that took a lock must have been killed: what is done under it takes a few. */
const STALE = 5000;

/**
 * Does some short work while no other process does such work for the same file, which has to lie in a private folder. The
 * lock is a file beside it.
 *
 * @returns whether it was done; false while another process is at it
 */
export function whileLocked(file: string, work: () => void): boolean {
  const lock = `${file}.lock`;
  if (!take(lock) && !(isStale(lock) && take(lock))) return false;
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
  return true;
}

function take(lock: string): boolean {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    closeSync(openSync(lock, flags, 0o600));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Whether the lock can be taken now: it is gone, or a process that was killed has left it, and it was removed. */
function isStale(lock: string): boolean {
  const stats = lstatSync(lock, { throwIfNoEntry: false });
  if (!stats) return true;
  // The clock may have been set back.
  if (Math.abs(Date.now() - stats.mtimeMs) < STALE) return false;
  rmSync(lock, { force: true });
  return true;
}
