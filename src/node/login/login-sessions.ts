import { createHash } from "node:crypto";
import * as v from "valibot";
import { messageOf } from "../../streams/message-of.ts";
import type { Log } from "../log/log.ts";
import { whileLocked } from "./file-lock.ts";
import { readPrivateFile, replacePrivateFile, stateOf } from "./private-file.ts";
import { newNonce } from "./proof.ts";

/** Logins that are kept; beyond that the one goes that was used least recently. */
const MOST = 1000;

/** Milliseconds after its last use at which a login ends. */
const LIFE = 12 * 3600_000;

/** Milliseconds after which a further use of a login is written down, at the latest. */
const USE_TIME = 60_000;

/** Milliseconds after which a write is tried again that another process was in the way of, and how often at the end. */
const RETRY_TIME = 20;
const LAST_TRIES = 100;

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
  log: Log;
  /** Whether another token counts by now. Then nothing is written any more. */
  isReplaced?: () => boolean;
  /** Milliseconds since 1970. */
  now?: () => number;
}

/** What a file says: when each login was last used, by the hash of its id. */
type Written = ReadonlyMap<string, number>;

/**
 * The logins of a gateway. They outlive a restart, and end 12 h after their last use, but never while a WebSocket of theirs
 * is open. A login belongs to the token by which it was made: a new token ends them all.
 *
 * Gateways that have the same file have the same logins: what one makes or ends is made or ended for all. The brief ones are
 * each gateway's own.
 */
export class LoginSessions {
  readonly #options: LoginSessionsOptions;
  readonly #now: () => number;
  readonly #tokenHash: string;
  /** By the hash of their ids; what was used least recently stands first. */
  readonly #logins = new Map<string, Login>();
  #timer: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;
  /**
   * Those that the file had when it was last read or written. One of them that we have no more was ended by us; one that the
   * file has no more, by another gateway.
   */
  #shared: ReadonlySet<string> = new Set();
  /** What the file was like then. */
  #state = "";
  #hasFailed = false;
  #isClosed = false;

  constructor(options: LoginSessionsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#tokenHash = hashOf(`nbd-proxy logins\n${options.token}`);
    this.#state = stateOf(this.#options.file);
    const written = this.#read((fault) =>
      options.log(
        `logins before this start have ended, as ${options.file} cannot be read: ${fault}`,
        "warning",
      ),
    );
    if (written) this.#merge(written);
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
    this.#refresh();
    const hash = hashOf(id);
    const login = this.#logins.get(hash);
    if (!login) return false;
    const now = this.#now();
    this.#logins.delete(hash);
    if (isOver(login, now)) {
      this.#writeWithin(0);
      return false;
    }
    // Another gateway must not take it for one that is over.
    const isOverdue = now - login.used >= LIFE / 12;
    login.used = now;
    this.#logins.set(hash, login);
    this.#writeWithin(isOverdue ? 0 : USE_TIME);
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
    this.abandon();
    // Another gateway may be writing. This is the last chance, so it is waited for.
    for (let tries = 1; isDue && !this.#write(tries === LAST_TRIES); tries++) sleep(RETRY_TIME);
  }

  /** Writes nothing any more. */
  abandon(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #forgetOne(): void {
    for (const [hash, { held }] of this.#logins) {
      if (held > 0) continue;
      this.#logins.delete(hash);
      return;
    }
  }

  /** Takes over what other gateways have written meanwhile. */
  #refresh(): void {
    const state = stateOf(this.#options.file);
    if (state === this.#state) return;
    this.#state = state;
    const written = this.#read();
    if (written) this.#merge(written);
  }

  /**
   * What the file says of our token.
   * @returns undefined if that is nothing
   */
  #read(onFault: (words: string) => void = () => {}): Written | undefined {
    let bytes: Buffer;
    try {
      bytes = readPrivateFile(this.#options.file, LONGEST);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") onFault(messageOf(error));
      return undefined;
    }
    try {
      const { token, logins } = v.parse(contents, JSON.parse(bytes.toString("utf8")));
      return token === this.#tokenHash ? new Map(logins) : undefined;
    } catch {
      onFault("the file is damaged");
      return undefined;
    }
  }

  #merge(written: Written): void {
    for (const hash of this.#shared) if (!written.has(hash)) this.#logins.delete(hash);
    const now = this.#now();
    for (const [hash, told] of written) {
      const used = Math.min(told, now);
      const mine = this.#logins.get(hash);
      if (mine) mine.used = Math.max(mine.used, used);
      else if (!this.#shared.has(hash)) this.#logins.set(hash, { used, held: 0, isBrief: false });
    }
    this.#shared = new Set(written.keys());
    const sorted = [...this.#logins].sort(([, one], [, other]) => one.used - other.used);
    this.#logins.clear();
    for (const [hash, login] of sorted) if (!isOver(login, now)) this.#logins.set(hash, login);
    for (let more = this.#logins.size - MOST; more > 0; more--) this.#forgetOne();
  }

  /** Several changes become one write. */
  #writeWithin(milliseconds: number): void {
    const due = performance.now() + milliseconds;
    if (this.#isClosed || (this.#timer && this.#due <= due)) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => {
      if (!this.#write()) this.#writeWithin(RETRY_TIME);
    }, milliseconds);
    this.#timer.unref(); // close() writes too
  }

  /**
   * Writes down what there is, and what other gateways have written meanwhile.
   * @param isUrgent whether to do so even while another process writes
   * @returns whether that is done; false while another process writes
   */
  #write(isUrgent = false): boolean {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = Number.POSITIVE_INFINITY;
    if (this.#options.isReplaced?.()) return true;
    try {
      if (!whileLocked(this.#options.file, () => this.#exchange())) {
        if (!isUrgent) return false;
        this.#exchange();
      }
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed) {
        this.#options.log(
          `writing ${this.#options.file} failed, so logins will end with this process: ${messageOf(error)}`,
          "error",
        );
      }
      this.#hasFailed = true;
    }
    // While one serves, the file has to say that it is used.
    if ([...this.#logins.values()].some(({ held, isBrief }) => held > 0 && !isBrief)) {
      this.#writeWithin(LIFE / 12);
    }
    return true;
  }

  #exchange(): void {
    this.#refresh();
    const now = this.#now();
    for (const [hash, login] of this.#logins) if (isOver(login, now)) this.#logins.delete(hash);
    const logins = [...this.#logins]
      .filter(([, { isBrief }]) => !isBrief)
      .map(([hash, { used, held }]) => [hash, held > 0 ? now : used] as const)
      .slice(-MOST);
    const text = JSON.stringify({ token: this.#tokenHash, logins });
    replacePrivateFile(this.#options.file, `${text}\n`, false);
    this.#shared = new Set(logins.map(([hash]) => hash));
    this.#state = stateOf(this.#options.file);
  }
}

function isOver({ used, held, isBrief }: Login, now: number): boolean {
  return held === 0 && now - used >= (isBrief ? BRIEF : LIFE);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/** Waits without letting anything else go on. */
function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
