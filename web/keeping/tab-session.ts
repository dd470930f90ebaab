import type { ResumeKeys } from "../../src/resuming/resume-keys.ts";
import type { FileHandle } from "./file-handle.ts";
import { type Hold, hold, holdWhenFree } from "./hold.ts";
import { writeHandle } from "./kept-handle.ts";
import { type KeptSession, readSession, writeSession } from "./kept-session.ts";

/** Milliseconds between two notes that the link is there. */
const INTERVAL = 5000;

/** What was chosen, as far as it is kept. */
type KeptFile = Pick<KeptSession, "name" | "size" | "url">;

/**
 * The session of a tab that serves, and what this browser keeps of it. What is kept belongs to one tab at a time: that which holds
 * its name. A tab that is reloaded, or dies, has given it back, and the next one goes on in its place. Any other tab is a
 * stranger to the gateway: two tabs do not take the disk from each other.
 */
export class TabSession implements ResumeKeys {
  readonly #name: string;
  readonly #file: KeptFile;
  readonly #handle: FileHandle | undefined;
  readonly #ending = new AbortController();
  readonly #first: Promise<Hold | undefined>;
  /** What was asked for last. */
  #last: Promise<void>;
  #hasEnded = false;
  #hold: Hold | undefined;
  #key: string | undefined;
  #wait = 0;
  #notedAt = Number.NEGATIVE_INFINITY;

  /** @param name see `nameOfSession` */
  constructor(name: string, file: KeptFile, handle: FileHandle | undefined) {
    this.#name = name;
    this.#file = file;
    this.#handle = handle;
    this.#first = hold(name).then((got) => this.#take(got));
    this.#last = this.#first.then(() => {});
  }

  async get(): Promise<string | undefined> {
    await this.#first;
    if (this.#key === undefined && this.#hold) this.#key = readSession(this.#name)?.key;
    return this.#key;
  }

  set(key: string | undefined, wait = 0): Promise<void> {
    this.#last = this.#last.then(() => {
      this.#key = key;
      this.#wait = wait;
      if (this.#hold) this.#write();
      // Whoever has it is about to leave, since the gateway has given the disk to this tab.
      else if (key !== undefined) void this.#takeWhenFree();
    });
    return this.#last;
  }

  /** Notes that the link is there. Written seldom, unless it is said to be the last time. */
  note(isLast = false): void {
    const now = Date.now();
    if (!isLast && now - this.#notedAt < INTERVAL) return;
    const kept = this.#hold && readSession(this.#name);
    if (kept?.key !== this.#key || !kept) return;
    if (this.#notedAt === Number.NEGATIVE_INFINITY) void writeHandle(this.#name, this.#handle);
    this.#notedAt = now;
    writeSession(this.#name, { ...kept, seenAt: now });
  }

  /** Gives back what it holds, after what was set before. What is kept stays, for whoever goes on. */
  end(): void {
    this.#ending.abort();
    void this.#last.then(() => {
      this.#hasEnded = true;
      this.#hold?.release();
      this.#hold = undefined;
    });
  }

  async #takeWhenFree(): Promise<void> {
    if (this.#take(await holdWhenFree(this.#name, this.#ending.signal))) this.#write();
  }

  #take(got: Hold | undefined): Hold | undefined {
    if (this.#hold || this.#hasEnded) got?.release();
    else this.#hold = got;
    return this.#hold;
  }

  #write(): void {
    const { name, size, url } = this.#file;
    const key = this.#key;
    const place = url === undefined ? {} : { url: withoutLogin(url) };
    const session =
      key === undefined ? undefined : { key, name, size, ...place, wait: this.#wait, seenAt: Date.now() };
    writeSession(this.#name, session);
    void writeHandle(this.#name, key === undefined ? undefined : this.#handle);
  }
}

/** A password is good for longer than the signature in a query. Without it the web server asks for it, and so does the card. */
function withoutLogin(text: string): string {
  const url = new URL(text);
  url.username = "";
  url.password = "";
  return url.href;
}
