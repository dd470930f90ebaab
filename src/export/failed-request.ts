import { Errno, ExportError } from "./error.ts";

/** A request at which an export failed. */
export interface FailedRequest {
  /** Its name, for example "READ". */
  readonly command: string;
  /** In bytes, as is the length. */
  readonly offset: number;
  readonly length: number;
}

/** Called with an error of an export. */
export type OnExportError = (error: Error, request: FailedRequest) => void;

const REFUSALS: ReadonlySet<Errno> = new Set([Errno.EINVAL, Errno.EOVERFLOW, Errno.ENOTSUP, Errno.ESHUTDOWN]);

/**
 * Whether an error says that the export does not support the request, or has shut down; that is not a failure. EPERM is a
 * failure, since it is the error of a medium that has become read-only.
 */
export function isRefusal(error: unknown): boolean {
  return error instanceof ExportError && REFUSALS.has(error.errno);
}
