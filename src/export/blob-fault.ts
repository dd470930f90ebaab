import { Errno, ExportError } from "./error.ts";

/** What browsers' errors mean to the user who chose the file, by their names. */
const causes: Readonly<Record<string, string>> = {
  // A folder that was dropped on a page looks like a file, but is not found.
  NotFoundError: "the file was removed, or is a folder",
  NotReadableError: "the file was changed since it was chosen, or may not be read",
};

/** An error that says why a Blob cannot be read, with the browser's name for it. */
export function blobFault(cause: unknown, doing?: string): ExportError {
  const words = cause instanceof ExportError ? cause.message : wordsFor(cause);
  return new ExportError(Errno.EIO, doing ? `${doing}: ${words}` : words, { cause });
}

function wordsFor(cause: unknown): string {
  const name = cause instanceof Error ? cause.name : String(cause);
  return `${causes[name] ?? "the file was changed or removed"} (${name})`;
}
