import { constants, type Stats } from "node:fs";
import { open, stat } from "node:fs/promises";
import { trustedPath } from "../trusted-path.ts";

/** Bytes of the longest configuration file. */
const LONGEST = 1 << 20;

/**
 * Reads a text file that nobody else can change (`trustedPath`). What is not a file, as a FIFO that nobody writes to, is
 * not opened.
 *
 * @param judge looks at the file that was opened, and throws what is wrong with it
 * @throws UntrustedPathError, Error in words, or the error of a system call
 */
export async function readTrustedText(file: string, judge?: (stats: Stats) => void): Promise<string> {
  assertFile(await stat(file));
  const { path } = trustedPath(file);
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    assertFile(stats);
    judge?.(stats);
    if (stats.size > LONGEST) throw new Error("it has more than 1 MiB");
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

function assertFile(stats: Stats): void {
  if (stats.isDirectory()) throw new Error("it is a directory");
  if (!stats.isFile()) throw new Error("it is not a file but a pipe, a socket or a device");
}
