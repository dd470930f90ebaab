import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { isWord } from "../../nbd/word.ts";
import type { ResumeKeys } from "../../resuming/resume-keys.ts";
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
      until: v.optional(v.pipe(v.number(), v.finite())),
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
 * Another server may use the same file: who got a key last has it.
 */
export class ResumeState implements ResumeKeys {
  readonly #file: string;
  readonly #log: (line: string) => void;
  #kept: Contents | undefined;
  #hasFailed = false;

  constructor(file: string, log: (line: string) => void) {
    this.#file = file;
    this.#log = log;
    this.#kept = this.#read();
  }

  get(): string | undefined {
    return this.#kept?.key;
  }

  set(key: string | undefined): void {
    if (key === undefined) {
      const isOurs = this.#isOurs();
      this.#kept = undefined;
      if (isOurs) this.#attempt(() => rmSync(this.#file, { force: true }));
      return;
    }
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
    if (this.#hasFailed || this.#isOurs()) this.#write();
  }

  /** Whether nobody has put another key into the file. */
  #isOurs(): boolean {
    return this.#read()?.key === this.#kept?.key;
  }

  #read(): Contents | undefined {
    return this.#attempt(() => {
      try {
        return v.parse(contents, JSON.parse(readPrivateFile(this.#file, LONGEST).toString("utf8")));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        if (error instanceof SyntaxError || error instanceof v.ValiError) throw new Error("it is damaged");
        throw error;
      }
    });
  }

  #write(): void {
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
        this.#log(
          `going on after nbd-serve was started again will not be possible: ${this.#file}: ${reasonOf(error)}`,
        );
      }
      this.#hasFailed = true;
      return undefined;
    }
  }
}
