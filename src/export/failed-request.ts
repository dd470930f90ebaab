import { Errno, ExportError } from "./error.ts";

/** The request that an export has failed at. */
export interface FailedRequest {
  /** Its name, as "READ". */
  readonly command: string;
  /** Where it begins, and how long it is, in bytes. */
  readonly offset: number;
  readonly length: number;
}

/** Takes note of what an export does wrong. */
export type OnExportError = (error: Error, request: FailedRequest) => void;

const REFUSALS: ReadonlySet<Errno> = new Set([Errno.EINVAL, Errno.EOVERFLOW, Errno.ENOTSUP, Errno.ESHUTDOWN]);

/**
 * Whether an export says that it does not do such a thing, or not any more, which is not a failure. EPERM is a failure: a
 * medium says it that has become read-only.
 */
export function isRefusal(error: unknown): boolean {
  return error instanceof ExportError && REFUSALS.has(error.errno);
}
