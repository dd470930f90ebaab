import { messageOf } from "../streams/message-of.ts";

const words: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a directory",
  EACCES: "permission denied",
  EROFS: "it is on a read-only file system",
};

/** The codes with which a write or a read says that there is no other side any more. */
const GONE = new Set(["EPIPE", "ECONNRESET"]);

/** Whether the error of a connection says that there is no other side any more; also in the words of `connectionError`. */
export function isGone(error: unknown): boolean {
  const { code, cause } = error as NodeJS.ErrnoException;
  return GONE.has(code ?? "") || (cause !== undefined && isGone(cause));
}

/** The error of a connection, in words where it means that the other side is gone: "write EPIPE" tells few people. */
export function connectionError(error: Error): Error {
  return isGone(error) ? new Error("the other side has closed the connection", { cause: error }) : error;
}

/** What went wrong with a file, in words: Node's message has the name of the system call and the path once more. */
export function reasonOf(error: unknown): string {
  const { code = "" } = error as NodeJS.ErrnoException;
  return words[code] ?? messageOf(error);
}
