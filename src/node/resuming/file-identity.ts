import type { FileHandle } from "node:fs/promises";
import type { Identity } from "../../resuming/serve-again.ts";
import type { OwnWrites } from "./own-writes.ts";

export interface FileIdentityOptions {
  /** The name to tell. */
  name: string;
  /** Bytes that are served. */
  size: number;
  /** What tells our writes from those of others, if the file is written to. */
  writes?: OwnWrites | undefined;
}

/**
 * What a gateway is told of an open file, or block device. The modification time of a file that is written to changes by that;
 * so it is judged here, and not told.
 */
export async function fileIdentity(
  handle: Pick<FileHandle, "stat">,
  { name, size, writes }: FileIdentityOptions,
): Promise<Identity> {
  const stats = await handle.stat();
  // A block device has the time of its file in /dev, which says nothing.
  if (!stats.isFile()) return { name, modified: undefined, changed: undefined };
  const isSized = stats.size === size;
  const resized = isSized ? undefined : `${name} has ${stats.size} bytes now, and had ${size}`;
  if (!writes) return { name, modified: stats.mtimeMs, changed: resized };
  return { name, modified: undefined, changed: resized ?? (await changedByOthers(name, writes)) };
}

/** How others have changed a file that is written to, in words; undefined: they have not. */
async function changedByOthers(name: string, writes: OwnWrites): Promise<string | undefined> {
  if (writes.isAnotherFile) return `${name} is another file than the one that was written to`;
  const at = await writes.othersChangedAt();
  if (at === undefined) return undefined;
  return `${name} was changed by another program, at ${new Date(at).toISOString()}`;
}
