import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { isPrivate, runtimeFolder, temporaryFolder } from "../config/runtime-folder.ts";
import { trustedPath, UntrustedPathError } from "../trusted-path.ts";

/**
 * Judges the folder of a unix socket before the socket is made: where others may write, they could make it first, or put
 * theirs in its place, and clients would talk to them. The folder of `runtimeFolder` is made where it is missing. What
 * else is wrong with a folder shows when the socket is bound.
 *
 * @throws UntrustedPathError
 */
export function claimSocketFolder(path: string): void {
  const folder = dirname(path);
  try {
    if (folder === runtimeFolder()) makeFolder(folder);
    const { stats } = trustedPath(folder);
    if (folder === temporaryFolder() && !isPrivate(stats)) {
      throw new UntrustedPathError(
        `not safe, as ${folder} is open to others; "chmod 700 ${folder}" mends that`,
      );
    }
  } catch (error) {
    if (error instanceof UntrustedPathError) throw error;
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
