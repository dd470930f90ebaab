import { readFileSync } from "node:fs";
import { chmod, chown } from "node:fs/promises";

/** Who may connect to a unix socket. */
export interface SocketPermissions {
  /** Bits of chmod(2). Default 0600. */
  mode?: number | undefined;
  /** The number of the group that it belongs to. Default: that of the process. */
  group?: number | undefined;
}

/** Gives a unix socket its group and its mode, in this order: no other group gets in meanwhile. */
export async function setPermissions(path: string, { mode, group }: SocketPermissions): Promise<void> {
  if (group !== undefined) await chown(path, -1, group);
  if (mode !== undefined) await chmod(path, mode);
}

/**
 * The mode of a unix socket, in octal digits. Its user may always connect, and all others never.
 * @returns undefined if it is something else
 */
export function socketMode(text: string): number | undefined {
  return /^0?6[0246]0$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

/**
 * The number of a group, given by it or by a name in /etc/group.
 * @returns undefined if there is no such group
 */
export function groupNumber(text: string, file = "/etc/group"): number | undefined {
  if (/^\d{1,10}$/.test(text)) return Number(text) < 0xffffffff ? Number(text) : undefined;
  let lines: string[];
  try {
    lines = readFileSync(file, "utf8").split("\n");
  } catch {
    return undefined;
  }
  const entry = lines.map((line) => line.split(":")).find(([name]) => name === text);
  return entry?.[2] !== undefined && /^\d{1,10}$/.test(entry[2]) ? Number(entry[2]) : undefined;
}
