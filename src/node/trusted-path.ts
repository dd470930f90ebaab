import { lstatSync, readlinkSync, type Stats, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Somebody whom this process must not trust can change what is at a path. The message says who, and what mends it. */
export class UntrustedPathError extends Error {
  override name = "UntrustedPathError";
}

/** What is at a path that only trusted users can change. */
export interface TrustedPath {
  /** The path without symbolic links. */
  path: string;
  stats: Stats;
}

/** Symbolic links in one path, as many as the kernel follows (path_resolution(7)). */
const MOST_LINKS = 40;

const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;

/**
 * Judges a path before it is believed, or run: the file, and each folder and symbolic link on the way to it, has to
 * belong to root, to the user of this process, or to the owner of the program's own files, and must not be writable by
 * group or others, unless it is a folder with the sticky bit. Who may write the program itself is trusted anyway. A user
 * other than root may have files which the user's own group can write, as a umask of 002 makes them.
 *
 * From the root downwards, each folder before what is in it, so that nobody else can change anything in between.
 * Where there are no such users, as on Windows, nothing is judged.
 *
 * @param alsoOwner a user who may own steps of it too
 * @throws UntrustedPathError
 * @throws the error of lstat(2), as ENOENT when there is nothing
 */
export function trustedPath(path: string, alsoOwner?: number): TrustedPath {
  const user = process.geteuid?.();
  if (user === undefined || path === "") return { path: resolve(path), stats: lstatSync(path) };
  const trusted = new Trusted(user, alsoOwner);
  let current = "/";
  let stats = trusted.judge(current);
  let links = 0;
  const ahead = names(path.startsWith("/") ? path : `${process.cwd()}/${path}`);
  for (let name = ahead.shift(); name !== undefined; name = ahead.shift()) {
    const next = name === ".." ? dirname(current) : join(current, name);
    stats = trusted.judge(next);
    if (!stats.isSymbolicLink()) {
      current = next;
      continue;
    }
    if (++links > MOST_LINKS) throw new Error(`${path} has too many symbolic links`);
    const target = readlinkSync(next);
    ahead.unshift(...names(target));
    if (target.startsWith("/")) current = "/";
    stats = lstatSync(current);
  }
  return { path: current, stats };
}

/** The names in a path. What ".." means is seen only when one is there, as the folder before may be a link. */
function names(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** Owner, group and mode of the program's own files; root's alone where they are not known, as in some bundles. */
function programStats(): Pick<Stats, "uid" | "gid" | "mode"> {
  try {
    return statSync(fileURLToPath(import.meta.url));
  } catch {
    return { uid: 0, gid: 0, mode: 0 };
  }
}

/** Who may change what a process believes. */
class Trusted {
  readonly #user: number;
  readonly #program = programStats();
  /** Who owns "/" can replace everything; in a user namespace that need not be user 0. */
  readonly #owners: ReadonlySet<number>;

  constructor(user: number, alsoOwner = user) {
    this.#user = user;
    this.#owners = new Set([0, user, alsoOwner, this.#program.uid, lstatSync("/").uid]);
  }

  /** Looks at one step of a path. */
  judge(path: string): Stats {
    const stats = lstatSync(path);
    const fault = this.#faultOf(path, stats);
    if (fault) throw new UntrustedPathError(`not safe, as ${path} ${fault}`);
    return stats;
  }

  #faultOf(path: string, stats: Stats): string | undefined {
    const { uid, gid, mode } = stats;
    if (!this.#owners.has(uid)) {
      const others = this.#user === 0 ? "neither root" : "neither you, root";
      const command = `"chown -h ${this.#user} ${path}" mends that`;
      const remedy = stats.isDirectory() ? "use a folder of your own" : command;
      return `belongs to user ${uid}, who is ${others} nor the owner of this program; ${remedy}`;
    }
    if (stats.isSymbolicLink() || (stats.isDirectory() && mode & STICKY)) return undefined;
    if (mode & OTHERS_WRITE & ~this.#program.mode)
      return `can be written by everybody; "chmod go-w ${path}" mends that`;
    if (mode & GROUP_WRITES && !this.#isTrustedGroup(stats))
      return `can be written by group ${gid}; "chmod g-w ${path}" mends that`;
    return undefined;
  }

  #isTrustedGroup({ uid, gid }: Stats): boolean {
    if (this.#program.mode & GROUP_WRITES && gid === this.#program.gid) return true;
    return this.#user !== 0 && uid === this.#user && gid === process.getegid?.();
  }
}
