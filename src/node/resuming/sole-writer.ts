import type { FileHandle } from "node:fs/promises";
import { lock } from "../lock.ts";

/**
 * Sees to it that no other program of this package on this machine serves the same file, or block device, to be written to:
 * what one has under way could undo what another has written since. The kernel takes the lock back when the process is gone,
 * with all that it had under way; a process that was just killed is waited for.
 *
 * @returns what unlocks it
 * @throws Error when it is locked
 */
export async function soleWriter(handle: Pick<FileHandle, "stat">): Promise<() => void> {
  const stats = await handle.stat({ bigint: true });
  const name = stats.isFile() ? `file ${stats.dev}:${stats.ino}` : `device ${stats.rdev}`;
  const unlock = await lock(name);
  if (unlock) return unlock;
  throw new Error("another nbd-serve serves it to be written to; end that one first");
}
