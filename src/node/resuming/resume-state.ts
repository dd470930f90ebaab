import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import * as v from "valibot";
import { isWord } from "../../nbd/word.ts";
import type { ResumeKeys } from "../../resuming/resume-keys.ts";
import { lock } from "../lock.ts";
import { makePrivateFolder, readPrivateFile, replacePrivateFile } from "../login/private-file.ts";
import { stateFolder } from "../state-folder.ts";
import { reasonOf } from "../system-error.ts";
import type { WriteRecord } from "./own-writes.ts";

/** Bytes of the longest file that is read. */
const LONGEST = 4096;

const contents = v.object({
  version: v.literal(1),
  key: v.custom<string>(isWord),
  written: v.optional(
    v.object({
      file: v.pipe(v.string(), v.maxLength(64)),
      modified: v.pipe(v.string(), v.regex(/^-?\d{1,20}$/)),
      until: v.optional(v.pipe(v.number(), v.safeInteger())),
    }),
  ),
});
type Contents = v.InferOutput<typeof contents>;

/**
 * Where it is kept what a server needs to go on after it was started again.
 * @param url of a gateway's configuration; a token in its fragment does not count
 */
export function resumeFile(url: string, folder = stateFolder()): string {
  const where = new URL(url);
  where.hash = "";
  const name = createHash("sha256").update(where.href).digest("hex").slice(0, 32);
  return join(folder, `resume-${name}.json`);
}

/**
 * What a server keeps for a gateway's configuration in a private file, so that it can be killed, and started again, and goes
 * on: the gateway's key, and what it has written. Where the file cannot be had, one line says so, and it is kept in memory.
 *
 * One process at a time has the file. Another one on this machine is a stranger to the gateway: with the same key it would
 * take over a session that is alive.
 */
export class ResumeState implements ResumeKeys {
  readonly #file: string;
  readonly #log: (line: string) => void;
  #kept: Contents | undefined;
  #unlock: (() => void) | undefined;
  #hasFailed = false;

  private constructor(file: string, log: (line: string) => void) {
    this.#file = file;
    this.#log = log;
  }

  /** Claims the file. A process that was just killed is waited for. */
  static async open(file: string, log: (line: string) => void): Promise<ResumeState> {
    const state = new ResumeState(file, log);
    await state.#claim();
    if (state.#unlock) state.#kept = state.#read();
    return state;
  }

  get(): string | undefined {
    return this.#kept?.key;
  }

  async set(key: string | undefined): Promise<void> {
    if (key === undefined) {
      this.#kept = undefined;
      if (this.#unlock) this.#attempt(() => rmSync(this.#file, { force: true }));
      return;
    }
    // The other process may have ended in favour of this one.
    await this.#claim();
    const written = this.#kept?.written;
    this.#kept = { version: 1, key, ...(written && { written }) };
    this.#write();
  }

  /** What was written last; undefined if that is not known. */
  get written(): WriteRecord | undefined {
    return this.#kept?.written;
  }

  /** Notes what was written. Without a key it is of no use to anybody, and not kept. */
  note(written: WriteRecord): void {
    if (!this.#kept) return;
    this.#kept = { ...this.#kept, written };
    this.#write();
  }

  /** Leaves the file to others. */
  close(): void {
    this.#unlock?.();
    this.#unlock = undefined;
  }

  async #claim(): Promise<void> {
    const name = createHash("sha256").update(resolve(this.#file)).digest("hex").slice(0, 32);
    this.#unlock ??= await lock(`resume ${name}`);
  }

  #read(): Contents | undefined {
    return this.#attempt(() => {
      let bytes: Buffer;
      try {
        bytes = readPrivateFile(this.#file, LONGEST);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
      try {
        return v.parse(contents, JSON.parse(bytes.toString("utf8")));
      } catch {
        return undefined; // a damaged one is as good as none
      }
    });
  }

  #write(): void {
    if (!this.#unlock) return;
    this.#attempt(() => {
      makePrivateFolder(this.#file);
      replacePrivateFile(this.#file, `${JSON.stringify(this.#kept)}\n`, false);
    });
  }

  #attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!this.#hasFailed) {
        const why = `${this.#file}: ${reasonOf(error)}`;
        this.#log(`started again, this program will not be able to go on with the disk: ${why}`);
      }
      this.#hasFailed = true;
      return undefined;
    }
  }
}
