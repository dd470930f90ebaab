import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { trustedPath } from "../trusted-path.ts";

/** Permissions of the group and of others. */
const OTHERS = 0o077;

/**
 * Reads a file that belongs to the user of this process and that nobody else can read or replace: mode 0600, not a symbolic
 * link, in a folder of the same user with mode 0700.
 *
 * @param longest bytes of a file that is read; a longer one is refused
 * @throws Error in words that say what to do, without anything of the contents; or the error of a system call
 */
export function readPrivateFile(file: string, longest: number): Buffer {
  const path = join(privateFolder(file), basename(file));
  // A FIFO that nobody writes to must not hold up the process.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const descriptor = withWords(() => openSync(path, flags), {
    ELOOP: "it is a symbolic link; name the file itself",
  });
  try {
    assertPrivate(fstatSync(descriptor), file);
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
  return writeAside(file, contents, (aside, path) => {
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
 * Makes a private file, or replaces one: readers find the old contents or the new ones, whole.
 * @param isLasting whether to wait until the disk has it
 */
export function replacePrivateFile(file: string, contents: string, isLasting: boolean): void {
  writeAside(file, contents, renameSync, isLasting);
}

/** Writes to a new file beside the one that is meant, which `place` then puts there. Nothing is left beside it. */
function writeAside<T>(
  file: string,
  contents: string,
  place: (aside: string, path: string) => T,
  isLasting = true,
): T {
  const path = join(privateFolder(file), basename(file));
  const aside = `${path}.${randomBytes(6).toString("hex")}`;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const descriptor = openSync(aside, flags, 0o600);
  try {
    try {
      fchmodSync(descriptor, 0o600); // whatever the umask is
      writeFileSync(descriptor, contents);
      if (isLasting) fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    return place(aside, path);
  } finally {
    rmSync(aside, { force: true });
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

/** Makes the folder of a file, and those above it that are missing, for this user alone. */
export function makePrivateFolder(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
}

/** The folder of a file, without symbolic links, when it is this user's alone, and nobody else can put another in its place. */
function privateFolder(file: string): string {
  const folder = dirname(file);
  const { path, stats } = trustedPath(folder);
  const user = process.geteuid?.();
  if (user === undefined) return path;
  if (stats.uid !== user) {
    throw new Error(
      `its folder ${path} belongs to user ${stats.uid}, and not to you; use a folder of your own`,
    );
  }
  if (stats.mode & OTHERS)
    throw new Error(`its folder ${path} is open to others; ${remedyFor(folder, path)}`);
  return path;
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

function assertPrivate(stats: Stats, file: string): void {
  if (!stats.isFile()) throw new Error("it is not a file");
  const user = process.geteuid?.();
  if (user === undefined) return;
  if (stats.uid !== user) {
    throw new Error(`it belongs to user ${stats.uid}, and not to you; name a file of your own`);
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
