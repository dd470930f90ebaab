import { createHash } from "node:crypto";
import * as v from "valibot";
import { messageOf } from "../../streams/message-of.ts";
import { readPrivateFile, replacePrivateFile } from "./private-file.ts";
import { newNonce } from "./proof.ts";

/** Logins that are kept; beyond that the one goes that was used least recently. */
const MOST = 1000;

/** Milliseconds after its last use at which a login ends. */
const LIFE = 12 * 3600_000;

/** Milliseconds after which a further use of a login is written down, at the latest. */
const USE_TIME = 60_000;

/** Milliseconds that a brief login lasts without a WebSocket. */
const BRIEF = 30_000;

/** Bytes of the longest file. */
const LONGEST = 1 << 18;

const contents = v.object({
  /** The hash of the token by which all of them were made. */
  token: v.string(),
  /** Hash of the id, and milliseconds since 1970 of the last use. */
  logins: v.pipe(v.array(v.tuple([v.pipe(v.string(), v.length(43)), v.number()])), v.maxLength(MOST)),
});

interface Login {
  used: number;
  /** How many WebSockets it has open. */
  held: number;
  /** It is for one WebSocket, ends with it, and is never written down. */
  isBrief: boolean;
}

export interface LoginSessionsOptions {
  /** Where they are kept, as hashes: nobody who reads that can log in. */
  file: string;
  token: string;
  log(line: string): void;
  /** Milliseconds since 1970. */
  now?: () => number;
}

/**
 * The logins of a gateway. They outlive a restart, and end 12 h after their last use, but never while a WebSocket of theirs
 * is open. A login belongs to the token by which it was made: a new token ends them all.
 */
export class LoginSessions {
  readonly #options: LoginSessionsOptions;
  readonly #now: () => number;
  readonly #tokenHash: string;
  /** By the hash of their ids; what was used least recently stands first. */
  readonly #logins = new Map<string, Login>();
  #timer: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;
  #hasFailed = false;
  #isClosed = false;

  constructor(options: LoginSessionsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#tokenHash = hashOf(`nbd-proxy logins\n${options.token}`);
    this.#read();
  }

  /**
   * Makes a login, and gives its id.
   * @param isBrief whether it is for one WebSocket: such a login ends with that, or after 30 s without one
   */
  create(isBrief = false): string {
    const id = `s.${newNonce()}`;
    this.#logins.set(hashOf(id), { used: this.#now(), held: 0, isBrief });
    if (this.#logins.size > MOST) this.#forgetOne();
    this.#writeWithin(0);
    return id;
  }

  /** Whether there is such a login; this is a use of it. */
  use(id: string): boolean {
    const hash = hashOf(id);
    const login = this.#logins.get(hash);
    if (!login) return false;
    const now = this.#now();
    this.#logins.delete(hash);
    if (isOver(login, now)) {
      this.#writeWithin(0);
      return false;
    }
    login.used = now;
    this.#logins.set(hash, login);
    this.#writeWithin(USE_TIME);
    return true;
  }

  /** Keeps a login from ending until the function is called that this returns. */
  hold(id: string): () => void {
    const hash = hashOf(id);
    const login = this.#logins.get(hash);
    if (!login) return () => {};
    login.held++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      login.held--;
      login.used = this.#now();
      if (this.#logins.delete(hash) && !(login.isBrief && login.held === 0)) this.#logins.set(hash, login);
      this.#writeWithin(USE_TIME);
    };
  }

  /** Ends a login. */
  end(id: string): void {
    if (this.#logins.delete(hashOf(id))) this.#writeWithin(0);
  }

  /** Writes down what is not written yet. Nothing is written after that. */
  close(): void {
    const isDue = this.#timer !== undefined;
    this.#isClosed = true;
    if (isDue) this.#write();
  }

  #forgetOne(): void {
    for (const [hash, { held }] of this.#logins) {
      if (held > 0) continue;
      this.#logins.delete(hash);
      return;
    }
  }

  #read(): void {
    const { file, log } = this.#options;
    let bytes: Buffer;
    try {
      bytes = readPrivateFile(file, LONGEST);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") log(`${this.#ended}: ${messageOf(error)}`);
      return;
    }
    try {
      const { token, logins } = v.parse(contents, JSON.parse(bytes.toString("utf8")));
      if (token !== this.#tokenHash) return;
      const now = this.#now();
      const sorted = logins.map(([hash, used]) => [hash, Math.min(used, now)] as const);
      sorted.sort(([, one], [, other]) => one - other);
      for (const [hash, used] of sorted)
        if (now - used < LIFE) this.#logins.set(hash, { used, held: 0, isBrief: false });
    } catch {
      log(`${this.#ended}: the file is damaged`);
    }
  }

  get #ended(): string {
    return `logins before this start have ended, as ${this.#options.file} cannot be read`;
  }

  /** Several changes become one write. */
  #writeWithin(milliseconds: number): void {
    const due = performance.now() + milliseconds;
    if (this.#isClosed || (this.#timer && this.#due <= due)) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.#write(), milliseconds);
    this.#timer.unref(); // close() writes too
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = Number.POSITIVE_INFINITY;
    const now = this.#now();
    const logins: [string, number][] = [];
    let isHeld = false;
    for (const [hash, login] of this.#logins) {
      const { used, held, isBrief } = login;
      if (isOver(login, now)) this.#logins.delete(hash);
      else if (!isBrief) logins.push([hash, held > 0 ? now : used]);
      isHeld ||= held > 0 && !isBrief;
    }
    try {
      const text = JSON.stringify({ token: this.#tokenHash, logins });
      replacePrivateFile(this.#options.file, `${text}\n`, false);
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed) {
        this.#options.log(
          `writing ${this.#options.file} failed, so logins will end with this process: ${messageOf(error)}`,
        );
      }
      this.#hasFailed = true;
    }
    // While one serves, the file has to say that it is used.
    if (isHeld) this.#writeWithin(LIFE / 12);
  }
}

function isOver({ used, held, isBrief }: Login, now: number): boolean {
  return held === 0 && now - used >= (isBrief ? BRIEF : LIFE);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}
