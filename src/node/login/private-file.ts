import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { makeFolders } from "../make-folders.ts";
import { trustedPath } from "../trusted-path.ts";

/** Permissions of the group and of others. */
const OTHERS = 0o077;

export interface PrivateFileOptions {
  /**
   * Whether root may use the file of another user, as of a service: then that user owns the folder and the file. This is for what
   * root asks of that user's programs; whoever owns the file decides what is in it. Default: false.
   */
  asRoot?: boolean;
}

/**
 * Reads a file that belongs to the user of this process and that nobody else can read or replace: mode 0600, not a symbolic
 * link, in a folder of the same user with mode 0700.
 *
 * @param longest bytes of a file that is read; a longer one is refused
 * @throws Error in words that say what to do, without anything of the contents; or the error of a system call
 */
export function readPrivateFile(file: string, longest: number, options?: PrivateFileOptions): Buffer {
  const folder = privateFolder(file, options);
  const path = join(folder.path, basename(file));
  // A FIFO that nobody writes to must not hold up the process.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const descriptor = withWords(() => openSync(path, flags), {
    ELOOP: "it is a symbolic link; name the file itself",
  });
  try {
    assertPrivate(fstatSync(descriptor), file, folder.owner);
    const bytes = Buffer.alloc(longest + 1);
    const length = readSync(descriptor, bytes, 0, bytes.byteLength, 0);
    if (length > longest) throw new Error(`it has more than ${longest} bytes`);
    return bytes.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Makes a private file, whole from the moment that it is there.
 *
 * @returns whether it was made; false if there is one of that name already
 * @throws Error in words, or the error of a system call
 */
export function makePrivateFile(file: string, contents: string): boolean {
  return writeAside(file, contents, {}, (aside, path) => {
    try {
      linkSync(aside, path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    }
  });
}

/**
 * Makes a private file, or replaces one: readers find the old contents or the new ones, whole. It belongs to the owner of its
 * folder.
 * @param isLasting whether to wait until the disk has it
 */
export function replacePrivateFile(
  file: string,
  contents: string,
  isLasting: boolean,
  options: PrivateFileOptions = {},
): void {
  writeAside(file, contents, options, renameSync, isLasting);
}

/** Writes to a new file beside the one that is meant, which `place` then puts there. Nothing is left beside it. */
function writeAside<T>(
  file: string,
  contents: string,
  options: PrivateFileOptions,
  place: (aside: string, path: string) => T,
  isLasting = true,
): T {
  const folder = privateFolder(file, options);
  return inFolder(folder, (within) => {
    const path = join(within, basename(file));
    const aside = `${path}.${randomBytes(6).toString("hex")}`;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const descriptor = openSync(aside, flags, 0o600);
    try {
      try {
        fchmodSync(descriptor, 0o600); // whatever the umask is
        writeFileSync(descriptor, contents);
        if (folder.isOfOther) fchownSync(descriptor, folder.owner!, folder.group);
        if (isLasting) fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      return place(aside, path);
    } finally {
      rmSync(aside, { force: true });
    }
  });
}

/**
 * Does some work in a private folder, by the path that it is given. Another user could put another folder in the place of their
 * own at any time, so theirs is held open, judged as it was opened, and reached by its descriptor: whatever they do meanwhile, all
 * that happens happens in a private folder of theirs.
 */
function inFolder<T>(folder: PrivateFolder, work: (path: string) => T): T {
  if (!folder.isOfOther) return work(folder.path);
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const descriptor = openSync(folder.path, flags);
  try {
    const held = fstatSync(descriptor);
    if (held.uid !== folder.owner || held.mode & OTHERS)
      throw new Error(`its folder ${folder.path} was replaced just now`);
    const path = `/proc/self/fd/${descriptor}`;
    const reached = statSync(path, { throwIfNoEntry: false });
    if (reached?.ino !== held.ino || reached.dev !== held.dev)
      throw new Error(`without /proc only user ${folder.owner} can write to its folder ${folder.path}`);
    return work(path);
  } finally {
    closeSync(descriptor);
  }
}

/** What changes when a file does, or is replaced. */
export function stateOf(file: string): string {
  try {
    const { dev, ino, size, ctimeMs } = statSync(file);
    return `${dev} ${ino} ${size} ${ctimeMs}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "error";
  }
}

/**
 * Makes the folder of a file, and those above it that are missing, for this user alone.
 * @throws UntrustedPathError when others could change what is above it; or the error of a system call
 */
export function makePrivateFolder(file: string): void {
  makeFolders(dirname(file), 0o700);
}

/** A folder that one user has alone. */
interface PrivateFolder {
  /** Without symbolic links. */
  path: string;
  /** Undefined where there are no users. */
  owner: number | undefined;
  group: number;
  /** Whether it is another user's than that of this process. */
  isOfOther: boolean;
}

/** The folder of a file, when it is this user's alone, and nobody else can put another in its place. */
function privateFolder(file: string, { asRoot = false }: PrivateFileOptions = {}): PrivateFolder {
  const folder = dirname(file);
  const user = process.geteuid?.();
  const isOfAny = asRoot && user === 0;
  const expected = isOfAny ? statSync(folder).uid : user;
  const { path, stats } = trustedPath(folder, expected);
  const { uid: owner, gid: group } = stats;
  if (user === undefined) return { path, owner: undefined, group, isOfOther: false };
  // A link of the one user may lead to a folder of theirs, and to nobody else's.
  if (owner !== expected) {
    const whom = isOfAny ? `user ${expected} any more` : "you; use a folder of your own";
    throw new Error(`its folder ${path} belongs to user ${owner}, and not to ${whom}`);
  }
  if (stats.mode & OTHERS)
    throw new Error(`its folder ${path} is open to others; ${remedyFor(folder, path)}`);
  return { path, owner, group, isOfOther: owner !== user };
}

/**
 * What makes a folder private. systemd gives its folder the mode of the unit at each start; a folder that has not our name may
 * have to be open.
 */
function remedyFor(folder: string, path: string): string {
  const ofUnit = (process.env.STATE_DIRECTORY ?? "").split(":");
  if (ofUnit.includes(folder) || ofUnit.includes(path))
    return "StateDirectoryMode=0700 in the unit mends that";
  if (basename(path) === "nbd-proxy") return `"chmod 700 ${path}" mends that`;
  return "name a file in a folder of its own, of mode 0700";
}

/** @param owner of the folder; undefined where there are no users */
function assertPrivate(stats: Stats, file: string, owner: number | undefined): void {
  if (!stats.isFile()) throw new Error("it is not a file");
  if (owner === undefined) return;
  if (stats.uid !== owner) {
    // Also one of root, which another user could have linked into a folder of theirs.
    const whom =
      owner === process.geteuid?.() ? "you; name a file of your own" : `user ${owner}, as its folder does`;
    throw new Error(`it belongs to user ${stats.uid}, and not to ${whom}`);
  }
  if (stats.mode & OTHERS) throw new Error(`others can use it; "chmod 600 ${file}" mends that`);
}

function withWords<T>(call: () => T, words: Readonly<Record<string, string>>): T {
  try {
    return call();
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    throw words[code] === undefined ? error : new Error(words[code]);
  }
}
