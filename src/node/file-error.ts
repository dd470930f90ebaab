import { Errno, ExportError } from "../export/error.ts";
import { hasErrno } from "./system-call-error.ts";

/** The error of a system call on a file as one that NBD has (proto.md, "Error values"). */
function errnoOf(cause: unknown): Errno {
  if (hasErrno(cause, "ENOSPC", "EDQUOT", "EFBIG")) return Errno.ENOSPC;
  if (hasErrno(cause, "EPERM", "EACCES", "EROFS")) return Errno.EPERM;
  if (hasErrno(cause, "ENOMEM")) return Errno.ENOMEM;
  return Errno.EIO;
}

/** What turns the error of a system call into one that an export throws. */
export const throwFileError =
  (offset?: number) =>
  (cause: Error): never => {
    throw new ExportError(errnoOf(cause), cause.message, { cause, ...(offset !== undefined && { offset }) });
  };
