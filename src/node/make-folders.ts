import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { trustedPath } from "./trusted-path.ts";

/**
 * Makes a folder, and those above it that are missing, where only trusted users can change what is above them. Unlike
 * `mkdirSync` with `recursive`, which tries for ever in /proc, it ends where nothing can be made.
 *
 * @returns whether this call has made it; false if it was there
 * @throws UntrustedPathError; or the error of a system call
 */
export function makeFolders(folder: string, mode: number): boolean {
  const missing: string[] = [];
  let above = folder;
  for (; !statSync(above, { throwIfNoEntry: false }); above = dirname(above)) missing.unshift(above);
  if (missing.length > 0) trustedPath(above);
  const isMade = missing.map((one) => make(one, mode)).at(-1) ?? false;
  if (!statSync(folder).isDirectory()) throw new Error(`${folder} is not a folder`);
  return isMade;
}

/** @returns false if it is there by now, as when another process is at it too */
function make(folder: string, mode: number): boolean {
  try {
    mkdirSync(folder, { mode });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    // What is above it is there.
    throw code === "ENOENT" ? new Error(`no folder can be made in ${dirname(folder)}`) : error;
  }
}
