import { createHash, randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { access, constants, link, lstat, rename, stat, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import { AddressError } from "../address-error.ts";
import { MAX_SOCKET_PATH, tooLongPath } from "../config/address.ts";
import { lock } from "../lock.ts";
import { reasonOf } from "../system-error.ts";
import { type SocketPermissions, setPermissions } from "./socket-permissions.ts";
import { startListening } from "./start-listening.ts";

/** A path that is ours to have a unix socket at. */
export interface ClaimedSocketPath {
  /**
   * Has a server listen there. The socket has mode 0600, unless it is to have another.
   * @throws Error when that is not possible, or something is there by now
   */
  listen(server: Server): Promise<void>;
  /** Removes the socket, if it is still ours, and gives the path back. */
  release(): Promise<void>;
}

/**
 * Claims a path for a unix socket. A socket there that nobody listens on any more is removed.
 *
 * Between the programs of this package the path has one owner at a time: to look whether a socket is stale, to remove it, and
 * to put another one in its place are several steps.
 *
 * @throws Error when it is in use, when what is there is not a socket, or when there can be none
 */
export async function claimSocketPath(
  path: string,
  permissions: SocketPermissions = {},
): Promise<ClaimedSocketPath> {
  const unlock = await lock(await lockName(path));
  if (!unlock) throw inUse();
  try {
    await makeWay(path);
  } catch (error) {
    unlock();
    throw error;
  }
  let own: Stats | undefined;
  return {
    async listen(server) {
      own = await listenAt(server, path, permissions);
    },
    async release() {
      // What cannot be removed is stale from now on, and the next one deals with it.
      if (own) await removeIfSame(path, own).catch(() => {});
      own = undefined;
      unlock();
    },
  };
}

/** The name of the lock of a path: wherever one comes from, the same folder and name are the same. */
async function lockName(path: string): Promise<string> {
  if (path.includes("\0")) throw new AddressError("the path has a NUL byte in it", "EINVAL");
  const fault = tooLongPath(path);
  if (fault) throw new AddressError(fault, "ENAMETOOLONG");
  try {
    // The slash at the end: nothing but a folder will do.
    const { dev, ino } = await stat(`${dirname(path)}/`);
    await access(dirname(path), constants.W_OK | constants.X_OK);
    const name = `${dev}:${ino}/${nameOf(path)}`;
    return `socket/${createHash("sha256").update(name).digest("hex")}`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") throw new AddressError("there is no such folder", code);
    throw new AddressError(code === "EACCES" ? "permission is denied in its folder" : reasonOf(error), code);
  }
}

/** What a path is called in its folder. */
const nameOf = (path: string) => path.slice(folderOf(path).length);
/** The folder of a path with the slash behind it; empty where it names none. */
const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/") + 1);

async function makeWay(path: string): Promise<void> {
  const found = await lstat(path).catch(unlessMissing);
  if (!found) return;
  if (!found.isSocket())
    throw new AddressError("there is something else of that name, which is not a socket", "EADDRINUSE");
  if (await isListening(path)) throw inUse();
  await removeIfSame(path, found);
}

/**
 * Has a server listen at a path where nothing is. A socket is made beside it and then moved there: what Node removes when
 * the server is closed is the name that the socket was made with, whoever has the path by then.
 *
 * @returns what the socket is known by
 */
async function listenAt(server: Server, path: string, permissions: SocketPermissions): Promise<Stats> {
  const temporary = await listenBeside(server, path);
  try {
    await setPermissions(temporary, permissions);
    const own = await lstat(temporary);
    // Unlike rename(2) it replaces nothing. Few file systems have sockets and no hard links.
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") throw inUse();
      return rename(temporary, path);
    });
    return own;
  } catch (error) {
    server.close();
    throw error;
  } finally {
    await unlink(temporary).catch(unlessMissing);
  }
}

/** How often a name is tried that nothing has yet. */
const ATTEMPTS = 10;

/** Has a server listen under another name in the folder of a path, one that fits where that does. */
async function listenBeside(server: Server, path: string): Promise<string> {
  const folder = folderOf(path);
  const length = Math.min(MAX_SOCKET_PATH - Buffer.byteLength(folder), 12);
  for (let attempt = 1; ; attempt++) {
    const random = randomBytes(length).toString("base64url");
    const name = length < 3 ? random.slice(0, length) : `.${random.slice(1, length)}`;
    try {
      if (name !== nameOf(path)) {
        await startListening(server, { path: folder + name });
        return folder + name;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Removes what is at a path if it is what was looked at. */
async function removeIfSame(path: string, { dev, ino }: Stats): Promise<void> {
  const found = await lstat(path).catch(unlessMissing);
  if (found?.dev === dev && found.ino === ino) await unlink(path).catch(unlessMissing);
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

function inUse(): Error {
  return new AddressError("it is in use by another process", "EADDRINUSE");
}

/** What connecting to a socket says of it. EAGAIN is a full backlog, EPROTOTYPE somebody who takes datagrams. */
const answers: Readonly<Record<string, boolean>> = {
  ECONNREFUSED: false,
  ENOENT: false,
  EAGAIN: true,
  EPROTOTYPE: true,
};

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      const answer = answers[error.code ?? ""];
      if (answer !== undefined) resolve(answer);
      else if (error.code === "EACCES")
        reject(new AddressError("the socket there is another user's", "EACCES"));
      else reject(error);
    });
  });
}
