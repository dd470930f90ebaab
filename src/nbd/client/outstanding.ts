import { Errno, ExportError, errnoName, GoneError, isErrno } from "../../export/error.ts";
import { deadline } from "../../streams/deadline.ts";
import { type Deferred, deferred } from "../../streams/deferred.ts";
import { messageOf } from "../../streams/message-of.ts";
import { quoted } from "../../streams/quoted.ts";
import { Command, nameOf } from "../constants.ts";
import { type LinkError, NoAnswerError, ProtocolError } from "../error.ts";
import type { NbdReply, NbdRequest, ReplyContent } from "../transmission.ts";

/** Both are taken away when the request is settled, and with them the data: see `settle`. */
interface Entry {
  request: NbdRequest | undefined;
  answer: Deferred<ReplyContent> | undefined;
  /** What it holds of the room on the link. */
  readonly weight: number;
}

/** What a request fails with once the link is gone. */
export function linkGone(cause: unknown): GoneError {
  return new GoneError(`the link to the server is gone: ${messageOf(cause)}`, { cause });
}

export interface OutstandingOptions {
  /** Milliseconds after which the oldest request without an answer counts as lost; 0: never. */
  timeout: number;
  /** Called once when a request was lost. */
  onTimeout(error: LinkError): void;
  /** Called with the weight of each request that is outstanding no more. */
  release(weight: number): void;
}

/**
 * The requests that were sent and have no reply yet, oldest first.
 *
 * The time of a request runs from when it became the oldest: on a slow link a request waits behind the replies
 * of others, which is no sign that it is lost.
 */
export class Outstanding {
  readonly #entries = new Map<bigint, Entry>();
  readonly #options: OutstandingOptions;
  #oldestSince = 0;
  /** Calls off the deadline of the oldest request. */
  #callOff: (() => void) | undefined;
  #idle: Deferred<void> | undefined;

  constructor(options: OutstandingOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** Resolves when nothing is outstanding. */
  async idle(): Promise<void> {
    if (this.#entries.size === 0) return;
    this.#idle ??= deferred();
    await this.#idle.promise;
  }

  /** Takes note of a request that is about to be sent. The promise gives what the reply carries. */
  add(request: NbdRequest, weight: number): Promise<ReplyContent> {
    if (this.#entries.size === 0) this.#oldestSince = performance.now();
    const answer = deferred<ReplyContent>();
    this.#entries.set(request.cookie, { request, answer, weight });
    this.#watch();
    return answer.promise;
  }

  /** The request with a cookie, as `replyParsers` wants it. */
  readonly requestOf = (cookie: bigint): NbdRequest | undefined => this.#entries.get(cookie)?.request;

  /**
   * Settles the request that a reply answers.
   * @throws ProtocolError when none does, as with a reply that comes twice
   */
  settle(reply: NbdReply): void {
    const { cookie, error, message, errorOffset } = reply;
    const entry = this.#entries.get(cookie);
    if (!entry) throw new ProtocolError(`the server answered twice, cookie 0x${cookie.toString(16)}`);
    if (this.#entries.keys().next().value === cookie) this.#oldestSince = performance.now();
    this.#entries.delete(cookie);
    if (this.#entries.size === 0) this.#rest();
    const { type, offset, length } = entry.request!;
    const answer = entry.answer!;
    // A Map grows and shrinks by copies of its table. V8 lets a former table that became old keep all that it refers to
    // until its next full collection: with the answers it was 40 MB of payload that nobody wanted any more.
    entry.request = undefined;
    entry.answer = undefined;
    this.#options.release(entry.weight);
    if (error === 0) {
      answer.resolve(reply);
      return;
    }
    const what = `${nameOf(Command, type)} of ${length} bytes at ${offset}`;
    // An error value that the protocol does not define counts as EINVAL (proto.md, "Error values").
    const errno = isErrno(error) ? error : Errno.EINVAL;
    const words = message ? `, ${quoted(message)}` : "";
    const where = errorOffset === undefined ? {} : { offset: errorOffset };
    answer.reject(
      new ExportError(errno, `the server answered ${errnoName(error)} to ${what}${words}`, where),
    );
  }

  /** Fails every request with GoneError, EIO; nothing is outstanding afterwards. */
  fail(cause: unknown): void {
    this.#rest();
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { answer, weight } of entries) {
      this.#options.release(weight);
      answer?.reject(linkGone(cause));
    }
  }

  #rest() {
    this.#callOff?.();
    this.#callOff = undefined;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  #watch() {
    const { timeout, onTimeout } = this.#options;
    if (timeout === 0 || this.#callOff) return;
    const judge = () => {
      this.#callOff = undefined;
      const oldest = this.#entries.values().next().value?.request;
      if (!oldest) return;
      if (performance.now() - this.#oldestSince < timeout) return this.#watch();
      const what = `${nameOf(Command, oldest.type)} at ${oldest.offset}`;
      onTimeout(new NoAnswerError(`the server did not answer a ${what} for ${timeout / 1000} s`));
    };
    const left = Math.max(0, this.#oldestSince + timeout - performance.now());
    this.#callOff = deadline(left, judge, timeout);
  }
}
