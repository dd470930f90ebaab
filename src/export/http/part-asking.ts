import type { Clock } from "../../resuming/clock.ts";
import { shownUrl } from "../../transport/shown-url.ts";
import { Attempt } from "./attempt.ts";
import { checkPart, type KnownFile, type WantedRange } from "./check-part.ts";
import { type Followed, follow } from "./follow.ts";
import { HttpError } from "./http-error.ts";
import { fetchFault } from "./network-fault.ts";
import type { OwnHeaders } from "./own-headers.ts";
import {
  forbiddenToPage,
  hiddenRange,
  isThere,
  mixedContent,
  type PageLocation,
  unreachableFromPage,
} from "./page-fault.ts";
import { readBody } from "./read-body.ts";
import { isStrong, validatorOf } from "./validator.ts";

export interface PartAskingOptions {
  fetch: typeof globalThis.fetch;
  /** Milliseconds that a server may be silent. */
  timeout: number;
  clock: Clock;
  /** Undefined: this is no page. */
  page: PageLocation | undefined;
}

/** What is asked for. */
export interface Question {
  /** The URL that was given, and the one at which the file was found last. */
  start: URL;
  at: URL;
  wanted: WantedRange;
  /** The file that it has to be a part of; undefined: any. */
  known: KnownFile | undefined;
}

/** A part of a file, and where it was found. */
export interface Part {
  file: KnownFile;
  bytes: Uint8Array;
  url: URL;
}

/** Asks a server for parts of a file, each once. Whatever is wrong with an answer, none of its bytes are handed on. */
export class PartAsking {
  readonly #own: OwnHeaders;
  readonly #options: PartAskingOptions;
  /** Whether the server understands If-Range. */
  #hasIfRange = true;

  constructor(own: OwnHeaders, options: PartAskingOptions) {
    this.#own = own;
    this.#options = options;
  }

  /**
   * @param life ends it
   * @throws HttpError, or the reason of `life`
   */
  async ask(question: Question, life: AbortSignal): Promise<Part> {
    const attempt = new Attempt(life, this.#options.timeout, this.#options.clock);
    let isComplete = false;
    let where = question.at;
    const check = (url: URL) => {
      where = url;
      const fault = mixedContent(url, this.#options.page);
      if (fault) throw fault;
    };
    try {
      const { response, url } = await this.#follow(question, this.#hasIfRange, { attempt, check });
      where = url;
      const { wanted, known } = question;
      const file = checkPart(response, wanted, known);
      const length = 1 + wanted.last - wanted.first;
      const bytes = await readBody(response.body, length, () => attempt.heard());
      isComplete = true;
      return { file, bytes, url };
    } catch (error) {
      // What an abort does to a stream has many faces.
      if (attempt.signal.aborted) throw attempt.signal.reason;
      const fault =
        error instanceof HttpError ? error : await this.#faultOf(error, where, question, attempt.signal);
      attempt.signal.throwIfAborted();
      throw where.href === question.start.href ? fault : fault.while(`redirected to ${shownUrl(where)}`);
    } finally {
      attempt.end(isComplete);
    }
  }

  /** The answer where all redirects end. */
  async #follow(
    question: Question,
    hasIfRange: boolean,
    asking: { attempt: Attempt; check(url: URL): void },
  ): Promise<Followed> {
    const { attempt, check } = asking;
    const { wanted, known } = question;
    /** Of If-Range. A page would have to ask another origin first whether it may send that. */
    const etagFor = (url: URL) => {
      const etag = known?.validator.etag;
      return hasIfRange && isStrong(etag) && !this.#isForeign(url) ? etag : undefined;
    };
    const headersFor = (url: URL) => {
      const etag = etagFor(url);
      return {
        range: `bytes=${wanted.first}-${wanted.last}`,
        "accept-encoding": "identity",
        ...(etag !== undefined && { "if-range": etag }),
      };
    };
    const followed = await follow(question.at, {
      fetch: this.#options.fetch,
      own: this.#own,
      signal: attempt.signal,
      headersFor,
      check,
    });
    attempt.heard();
    const { response, url } = followed;
    const { etag } = validatorOf(response.headers);
    if (response.status === 200 && etag !== undefined && etag === etagFor(url)) {
      // It is the same file, so there should have been a part of it.
      this.#hasIfRange = false;
      response.body?.cancel().catch(() => {});
      return this.#follow(question, false, asking);
    }
    if (response.status === 206 && this.#isForeign(url) && !response.headers.has("content-range")) {
      throw hiddenRange();
    }
    return followed;
  }

  /** Why there is no answer. */
  async #faultOf(error: unknown, url: URL, { known }: Question, signal: AbortSignal): Promise<HttpError> {
    const { page, fetch } = this.#options;
    if (!page || !(error instanceof TypeError)) return fetchFault(error, url);
    // A page that could read before may still do so.
    const isAllowed = known !== undefined || !this.#isForeign(url);
    if (isAllowed || !(await isThere(url, fetch, signal))) return unreachableFromPage(error);
    return forbiddenToPage(error, page, this.#own.namesFor(url));
  }

  #isForeign(url: URL): boolean {
    const { page } = this.#options;
    return page !== undefined && page.origin !== url.origin;
  }
}
