import type { BigIntStats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import type { Export } from "../../export/export.ts";

/** What is known of the modification time of a file that this program writes to. */
export interface WriteRecord {
  /** Which file it is, on this machine. */
  file: string;
  /** Its modification time after the last write of ours, in nanoseconds since 1970. */
  modified: string;
  /** While it is being written to: our writes have no later time than this, in milliseconds since 1970. */
  until?: number | undefined;
}

/** Milliseconds after which nothing counts as being written any more. */
const QUIET = 1000;

/** Milliseconds for which writes are announced at a time, and what has to be left of that when one begins. */
const AHEAD = 3000;
const LEFT = 1500;

export interface OwnWritesOptions {
  /** What was known when the file was served before, by this process or another one. */
  before?: WriteRecord | undefined;
  /** The file's modification time before this process opened it, in nanoseconds since 1970. Default: the one that it has. */
  modifiedBefore?: bigint;
  /** Takes down what is known. What it announces is taken down before it is done. */
  note(record: WriteRecord): void;
  /** Milliseconds since 1970. */
  now?: () => number;
}

/**
 * Tells our writes to a file from those of others, by its modification time. When nothing was written for a second, another
 * time is somebody else's. Until then, and after a process that was killed while it wrote, any time counts as ours up to the
 * one that was announced, a few seconds ahead at most.
 */
export class OwnWrites {
  readonly #handle: Pick<FileHandle, "stat">;
  readonly #options: OwnWritesOptions;
  readonly #now: () => number;
  readonly #file: string;
  #record: WriteRecord;
  #underWay = 0;
  #hasWritten = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(
    handle: Pick<FileHandle, "stat">,
    file: string,
    record: WriteRecord,
    options: OwnWritesOptions,
  ) {
    this.#handle = handle;
    this.#file = file;
    this.#record = record;
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Begins to watch an open file. */
  static async of(handle: Pick<FileHandle, "stat">, options: OwnWritesOptions): Promise<OwnWrites> {
    const stats = await handle.stat({ bigint: true });
    const file = nameOf(stats);
    const { before, modifiedBefore = stats.mtimeNs } = options;
    const now = { file, modified: String(stats.mtimeNs) };
    const isOthers = before && (before.file !== file || !isOfWriter(modifiedBefore, before));
    const writes = new OwnWrites(handle, file, isOthers ? before : now, options);
    // Killed before its first write, the next process has to find what this one has made of it.
    if (!isOthers && before) options.note(now);
    return writes;
  }

  /** The same export, whose changes are known as ours. */
  watch(next: Export): Export {
    const { write, trim, writeZeroes } = next;
    return {
      ...next,
      ...(write && {
        write: (offset, data, options) => this.#change(() => next.write!(offset, data, options)),
      }),
      ...(trim && {
        trim: (offset, length, options) => this.#change(() => next.trim!(offset, length, options)),
      }),
      ...(writeZeroes && {
        writeZeroes: (offset, length, options) =>
          this.#change(() => next.writeZeroes!(offset, length, options)),
      }),
    };
  }

  /** Whether what was written before went to another file, in whose place this one may be by now. */
  get isAnotherFile(): boolean {
    return this.#record.file !== this.#file;
  }

  /** When somebody else has changed the file, in milliseconds since 1970. Undefined if nobody has. */
  async othersChangedAt(): Promise<number | undefined> {
    const { mtimeNs } = await this.#handle.stat({ bigint: true });
    return isOfWriter(mtimeNs, this.#record) ? undefined : Number(mtimeNs / 1_000_000n);
  }

  /** Takes the file as it is now for what was written last. */
  async begin(): Promise<void> {
    this.#hasWritten = false;
    await this.#settle();
  }

  /** Takes down the last of what was written, and ends the watch. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#timer) await this.begin();
    this.#timer = undefined;
  }

  async #change(work: () => Promise<void>): Promise<void> {
    this.#underWay++;
    this.#announce();
    try {
      await work();
    } finally {
      this.#underWay--;
      this.#hasWritten = true;
    }
  }

  /** Says that there will be writes, before there is one. */
  #announce(): void {
    const now = this.#now();
    const { until } = this.#record;
    // A clock that was set back announces nothing any more.
    if (until === undefined || until - now < LEFT || until - now > AHEAD) {
      this.#take({ ...this.#record, until: now + AHEAD });
    }
    this.#hasWritten = true;
    this.#timer ??= this.#soon();
  }

  #soon(): NodeJS.Timeout {
    // What is being written holds the process; this does not.
    return setTimeout(() => void this.#look().catch(() => {}), QUIET).unref();
  }

  async #look(): Promise<void> {
    if (this.#underWay > 0) this.#announce();
    if (this.#underWay === 0 && !this.#hasWritten) {
      await this.#settle();
      // Something may have begun meanwhile.
      if (this.#underWay === 0 && !this.#hasWritten) {
        this.#timer = undefined;
        return;
      }
    }
    this.#hasWritten = false;
    this.#timer = this.#soon();
  }

  /** Takes down the time of the last write. */
  async #settle(): Promise<void> {
    const { mtimeNs } = await this.#handle.stat({ bigint: true });
    const isStill = this.#underWay === 0 && !this.#hasWritten;
    if (isStill) this.#take({ file: this.#file, modified: String(mtimeNs) });
  }

  #take(record: WriteRecord): void {
    this.#record = record;
    this.#options.note(record);
  }
}

/** Whether a file has this modification time by the writes of which there is a record. */
function isOfWriter(mtimeNs: bigint, { modified, until }: WriteRecord): boolean {
  return until === undefined ? mtimeNs === BigInt(modified) : mtimeNs <= BigInt(until) * 1_000_000n;
}

function nameOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}
