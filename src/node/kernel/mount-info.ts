import { readFile } from "node:fs/promises";

/** A mount, as its process sees it. */
export interface Mount {
  /** "MAJOR:MINOR"; the major is 0 where the file system is of no single device, as btrfs. */
  readonly number: string;
  readonly mountpoint: string;
  /** What was mounted, as a device's path. */
  readonly source: string;
}

/**
 * The mounts in a process's mount namespace (proc_pid_mountinfo(5)).
 * @param pid a process's number, or "self"
 * @throws the error of the system: another process may have ended, or keep this to itself
 */
export async function mountsOf(pid: string): Promise<Mount[]> {
  const text = await readFile(`/proc/${pid}/mountinfo`, "utf8");
  return text.split("\n").filter(Boolean).map(mountIn);
}

function mountIn(line: string): Mount {
  const [place = "", what = ""] = line.split(" - ");
  const [, , number = "", , point = ""] = place.split(" ");
  const [, source = ""] = what.split(" ");
  return { number, mountpoint: unescaped(point), source: unescaped(source) };
}

/** Blanks and some other characters are octal there. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
}
