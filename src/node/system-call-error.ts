import { constants } from "node:os";
import { getSystemErrorName } from "node:util";

type ErrnoName = keyof typeof constants.errno;

/** A system call failed. `code` and `errno` are as in Node's own errors: the errno's name, and its number below zero. */
export class SystemCallError extends Error {
  override name = "SystemCallError";
  readonly code: string;
  readonly errno: number;

  /** @param number the errno, above zero */
  constructor(call: string, number: number) {
    const code = getSystemErrorName(-number);
    super(`${call} failed: ${code}`);
    this.code = code;
    this.errno = -number;
  }
}

/**
 * Whether an error is of a system call that failed with one of these errnos, by their names in errno(3). It is the number
 * that counts: Node calls EOPNOTSUPP of Linux ENOTSUP, which has the same number, and has no name at all for EDQUOT.
 */
export function hasErrno(error: unknown, ...names: readonly ErrnoName[]): boolean {
  const { code, errno } = error as NodeJS.ErrnoException;
  return names.some((name) => code === name || (errno !== undefined && -errno === constants.errno[name]));
}
