import { constants, type Stats, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

/** Bytes of the longest token file. */
const LONGEST = 1024;

const OTHERS = 0o077;

/** Where a gateway of this user keeps its token, unless it is told another place. */
export function defaultTokenFile(env: NodeJS.ProcessEnv = process.env): string {
  const [state] = (env.STATE_DIRECTORY ?? "").split(":"); // of systemd, which may name several
  if (state && isAbsolute(state)) return join(state, "token");
  // HOME may be another user's, as with sudo.
  if (process.geteuid?.() === 0) return "/var/lib/nbd-proxy/token";
  const { XDG_STATE_HOME } = env;
  const home =
    XDG_STATE_HOME && isAbsolute(XDG_STATE_HOME) ? XDG_STATE_HOME : join(homedir(), ".local/state");
  return join(home, "nbd-proxy/token");
}

/**
 * Reads a token from a file that belongs to the user of this process, and that nobody else can read, in a folder of which the
 * same is true.
 *
 * @throws Error in words, without anything of the contents; or the error of a system call
 */
export async function readTokenFile(file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      throw error.code === "ELOOP" ? new Error("it is a symbolic link") : error;
    },
  );
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new Error("it is not a file");
    assertPrivate(stats, file, "600");
    assertPrivate(statSync(dirname(file)), dirname(file), "700");
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(LONGEST + 1), 0, LONGEST + 1, 0);
    return tokenIn(buffer.toString("latin1", 0, bytesRead));
  } finally {
    await handle.close();
  }
}

/**
 * The token in a text that has nothing else, but perhaps the end of its line.
 * @throws Error when there is none, without anything of the text
 */
export function tokenIn(text: string): string {
  const token = text.replace(/\r?\n$/, "");
  if (token === "") throw new Error("there is no token in it");
  if (text.length > LONGEST || !/^[\w.~+/-]+=*$/.test(token)) throw new Error("it has more than a token");
  return token;
}

function assertPrivate({ uid, mode }: Stats, path: string, wanted: string): void {
  const user = process.geteuid?.();
  if (user === undefined) return;
  if (uid !== user) throw new Error(`${path} belongs to user ${uid}, not to you`);
  if (mode & OTHERS) throw new Error(`others can use ${path}; "chmod ${wanted} ${path}" mends that`);
}
