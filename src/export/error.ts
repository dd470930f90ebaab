import { shown } from "../streams/check.ts";

/** The error values that NBD defines (proto.md, "Error values"). A server sends no other. */
export const Errno = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;
export type Errno = (typeof Errno)[keyof typeof Errno];

const names = new Map<number, string>(Object.entries(Errno).map(([name, value]) => [value, name]));

/** The name of an errno, for example "EIO". */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** Whether a number is one of the error values that NBD defines. */
export function isErrno(value: number): value is Errno {
  return names.has(value);
}

export interface ExportErrorOptions extends ErrorOptions {
  /** Where in the export it failed, in bytes, if known. */
  offset?: number;
}

/** An operation on an export failed. The NBD client gets the errno. */
export class ExportError extends Error {
  override name = "ExportError";
  readonly errno: Errno;
  readonly offset: number | undefined;

  constructor(errno: Errno, message: string, { offset, ...options }: ExportErrorOptions = {}) {
    if (!isErrno(errno)) {
      throw new RangeError(`${shown(errno)} is not an errno that NBD has: ${[...names.keys()].join(", ")}`);
    }
    super(message, options);
    this.errno = errno;
    this.offset = offset;
  }
}

/** The link to what is exported is gone. Whether the operation was carried out is not known; it can be asked for on another link. */
export class GoneError extends ExportError {
  override name = "GoneError";
  constructor(message: string, options?: ErrorOptions) {
    super(Errno.EIO, message, options);
  }
}

/** The export is at its end: the link is gone, and there is no other one. */
export class GivenUpError extends ExportError {
  override name = "GivenUpError";
  constructor(message: string, options?: ErrorOptions) {
    super(Errno.EIO, message, options);
  }
}
