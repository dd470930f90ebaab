import { join } from "node:path";
import { stateFolder } from "../state-folder.ts";
import { reasonOf } from "../system-error.ts";
import {
  makePrivateFile,
  makePrivateFolder,
  type PrivateFileOptions,
  readPrivateFile,
  replacePrivateFile,
} from "./private-file.ts";
import { newNonce } from "./proof.ts";

/** Bytes of the longest token file. */
const LONGEST = 1024;

/** A token has at least 32 bytes as base64url. */
const TOKEN = /^[\w-]{43,512}$/;

/** Where a gateway of this user keeps its token, unless it is told another place. */
export function defaultTokenFile(env?: NodeJS.ProcessEnv, user?: number): string {
  return join(stateFolder(env, user), "token");
}

/**
 * Reads a token from a file that belongs to the user of this process and that nobody else can read or replace.
 *
 * @throws Error in words, without anything of the contents; with the `code` of a system call that failed
 */
export async function readTokenFile(file: string, options?: PrivateFileOptions): Promise<string> {
  return readToken(file, options);
}

/** The same at once. */
export function readToken(file: string, options?: PrivateFileOptions): string {
  return about(file, "reading", () => tokenIn(readPrivateFile(file, LONGEST, options).toString("latin1")));
}

/** Reads a token, or makes one where there is no file. Of several processes that do so at once all get the same. */
export function readOrMakeToken(file: string): string {
  try {
    return readToken(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  about(file, "making", () => {
    makePrivateFolder(file);
    makePrivateFile(file, `${newNonce()}\n`);
  });
  return readToken(file);
}

/** Puts a new token into the place of the one before. What was logged in with that is so no more. */
export function renewToken(file: string, options?: PrivateFileOptions): void {
  about(file, "making", () => {
    makePrivateFolder(file);
    replacePrivateFile(file, `${newNonce()}\n`, true, options);
  });
}

/**
 * The token in a text that has nothing else, but perhaps the end of its line.
 * @throws Error when there is none, without anything of the text
 */
export function tokenIn(text: string): string {
  const token = text.replace(/\r?\n$/, "");
  if (token === "") throw new Error("there is no token in it");
  if (!TOKEN.test(token)) {
    throw new Error(
      "a token is one line of 43 to 512 letters, digits, - and _, with nothing else in the file; nbd-gateway --new-token makes one",
    );
  }
  return token;
}

function about<T>(file: string, doing: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const error = new Error(`${doing} the token file ${file}: ${reasonOf(cause)}`, { cause });
    throw Object.assign(error, code !== undefined && { code });
  }
}
