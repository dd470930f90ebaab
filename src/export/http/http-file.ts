import { Backoff } from "../../resuming/backoff.ts";
import type { Clock } from "../../resuming/clock.ts";
import { pause } from "../../resuming/pause.ts";
import { onWake } from "../../resuming/wakes.ts";
import { shownUrl } from "../../transport/shown-url.ts";
import { Attempt } from "./attempt.ts";
import { checkPart, type KnownFile, type WantedRange } from "./check-part.ts";
import { type Followed, follow } from "./follow.ts";
import { HttpError } from "./http-error.ts";
import { type HttpIdentity, identityOf } from "./identity.ts";
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
import { Slots } from "./slots.ts";
import { Trouble } from "./trouble.ts";
import { isStrong, validatorOf } from "./validator.ts";

export interface HttpFileOptions {
  fetch: typeof globalThis.fetch;
  /** Milliseconds. */
  timeout: number;
  retries: number;
  concurrency: number;
  onnote(line: string): void;
  clock: Clock;
  /** Undefined: this is no page. */
  page: PageLocation | undefined;
}

/** How often the first request is tried again at most: a URL that is wrong should be told soon. */
const FIRST_RETRIES = 2;

/** Statuses by which a URL that was redirected to says that it is not valid any more. */
const STALE: ReadonlySet<number | undefined> = new Set([401, 403, 404, 410]);

/** The first byte: the answer to it says all that there is to know of a file. */
const FIRST_BYTE: WantedRange = { first: 0, last: 0 };

/** A part of a file. */
interface Part {
  file: KnownFile;
  bytes: Uint8Array;
  url: URL;
}

/** One file on a web server, whose parts are asked for. Whatever is wrong with an answer, none of its bytes are handed on. */
export class HttpFile {
  readonly #start: URL;
  readonly #own: OwnHeaders;
  readonly #options: HttpFileOptions;
  readonly #slots: Slots;
  readonly #trouble: Trouble;
  /** Ends what is under way. */
  readonly #ends = new Set<AbortController>();
  readonly #running = new Set<Promise<unknown>>();
  /** Where the file was found last. */
  #at: URL;
  #known: KnownFile | undefined;
  #changed: HttpError | undefined;
  #isClosed = false;
  /** Whether the server understands If-Range. */
  #hasIfRange = true;
  /** Until when the server wants to be left alone, by the clock. */
  #quietUntil = 0;

  constructor(url: URL, own: OwnHeaders, options: HttpFileOptions) {
    this.#start = url;
    this.#at = url;
    this.#own = own;
    this.#options = options;
    this.#slots = new Slots(options.concurrency);
    this.#trouble = new Trouble(options.onnote);
  }

  /** Where the file was found last, without secrets. */
  get url(): string {
    return shownUrl(this.#at);
  }

  /** In bytes; 0 before it was opened. */
  get size(): number {
    return this.#known?.size ?? 0;
  }

  async open(signal: AbortSignal | undefined): Promise<void> {
    const doing = `opening ${shownUrl(this.#start)}`;
    await this.#run(doing, signal, async (life) => {
      const retries = Math.min(FIRST_RETRIES, this.#options.retries);
      const { file } = await this.#persist(FIRST_BYTE, doing, retries, life);
      this.#known = file;
      const { etag, lastModified } = file.validator;
      if (etag === undefined && lastModified === undefined) {
        this.#trouble.note(
          `${this.url}: the server tells neither ETag nor Last-Modified, so only another size shows that the file was changed`,
        );
      }
    });
  }

  async read(offset: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    if (length === 0) return new Uint8Array(0);
    const doing = `reading ${length} bytes at ${offset} of ${shownUrl(this.#start)}`;
    const wanted = { first: offset, last: offset + length - 1 };
    return this.#run(doing, signal, async (life) => {
      const { bytes } = await this.#persist(wanted, doing, this.#options.retries, life);
      return bytes;
    });
  }

  /** Asks what the file is now. */
  async identity(): Promise<HttpIdentity> {
    const doing = `looking at ${shownUrl(this.#start)}`;
    try {
      await this.#run(doing, undefined, (life) =>
        this.#persist(FIRST_BYTE, doing, this.#options.retries, life),
      );
    } catch (error) {
      if (!this.#changed) throw error;
    }
    return identityOf(this.#at, this.#known!.validator, this.#changed?.message);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const end of this.#ends) end.abort(closed());
    await Promise.allSettled(this.#running);
  }

  /** Does something that ends with the signal, or with `close`. Its faults say what was being done. */
  async #run<T>(
    doing: string,
    signal: AbortSignal | undefined,
    work: (life: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const end = new AbortController();
    const giveUp = () => end.abort(signal?.reason);
    signal?.addEventListener("abort", giveUp);
    this.#ends.add(end);
    if (this.#isClosed) end.abort(closed());
    const running = work(end.signal);
    this.#running.add(running);
    try {
      return await running;
    } catch (error) {
      throw error instanceof HttpError ? error.while(doing) : error;
    } finally {
      signal?.removeEventListener("abort", giveUp);
      this.#ends.delete(end);
      this.#running.delete(running);
    }
  }

  /** Asks until there is an answer, or what is wrong will not pass. */
  async #persist(wanted: WantedRange, doing: string, retries: number, life: AbortSignal): Promise<Part> {
    await this.#slots.enter(life);
    const backoff = new Backoff(() => this.#options.clock.random());
    try {
      let from: URL | undefined;
      for (let failures = 0; ; ) {
        await this.#quiet(life);
        if (this.#changed) throw this.#changed;
        const at = from ?? this.#at;
        try {
          const part = await this.#attempt(at, wanted, life);
          this.#found(part.url);
          this.#trouble.succeeded();
          return part;
        } catch (error) {
          if (!(error instanceof HttpError) || error === life.reason) throw error;
          if (error.code === "changed") this.#changed = error;
          // What a redirect led to may have been for a while only.
          from = this.#start;
          if (at !== from && STALE.has(error.status)) continue;
          if (!error.mayPass || failures++ >= retries) throw error;
          this.#trouble.failed(error.while(doing));
          const wait = Math.max(backoff.next(), error.retryAfter ?? 0);
          if (error.retryAfter !== undefined) this.#quietUntil = this.#options.clock.now() + error.retryAfter;
          await this.#pause(wait, life);
        }
      }
    } finally {
      this.#slots.leave();
    }
  }

  async #attempt(at: URL, wanted: WantedRange, life: AbortSignal): Promise<Part> {
    const attempt = new Attempt(life, this.#options.timeout, this.#options.clock);
    let isComplete = false;
    let where = at;
    const check = (url: URL) => {
      where = url;
      const fault = mixedContent(url, this.#options.page);
      if (fault) throw fault;
    };
    try {
      const { response, url } = await this.#ask(at, wanted, { attempt, check });
      where = url;
      const file = checkPart(response, wanted, this.#known);
      const length = 1 + wanted.last - wanted.first;
      const bytes = await readBody(response.body, length, () => attempt.heard());
      isComplete = true;
      return { file, bytes, url };
    } catch (error) {
      // What an abort does to a stream has many faces.
      if (attempt.signal.aborted) throw attempt.signal.reason;
      const fault = error instanceof HttpError ? error : await this.#faultOf(error, where, attempt.signal);
      attempt.signal.throwIfAborted();
      throw where.href === this.#start.href ? fault : fault.while(`redirected to ${shownUrl(where)}`);
    } finally {
      attempt.end(isComplete);
    }
  }

  /** The answer where all redirects end. */
  async #ask(
    at: URL,
    wanted: WantedRange,
    { attempt, check }: { attempt: Attempt; check(url: URL): void },
  ): Promise<Followed> {
    const followed = await follow(at, {
      fetch: this.#options.fetch,
      own: this.#own,
      signal: attempt.signal,
      headersFor: (url) => this.#headersFor(url, wanted),
      check,
    });
    attempt.heard();
    const { response, url } = followed;
    if (response.status === 200 && this.#ignoresIfRange(url, response)) {
      this.#hasIfRange = false;
      response.body?.cancel().catch(() => {});
      return this.#ask(at, wanted, { attempt, check });
    }
    if (response.status === 206 && this.#isForeign(url) && !response.headers.has("content-range")) {
      throw hiddenRange();
    }
    return followed;
  }

  /** Why there is no answer. */
  async #faultOf(error: unknown, url: URL, signal: AbortSignal): Promise<HttpError> {
    const { page, fetch } = this.#options;
    if (!page || !(error instanceof TypeError)) return fetchFault(error, url);
    // A page that could read before may still do so.
    const isAllowed = this.#known !== undefined || !this.#isForeign(url);
    if (isAllowed || !(await isThere(url, fetch, signal))) return unreachableFromPage(error);
    return forbiddenToPage(error, page, this.#own.namesFor(url));
  }

  #headersFor(url: URL, { first, last }: WantedRange): Record<string, string> {
    const headers: Record<string, string> = {
      range: `bytes=${first}-${last}`,
      "accept-encoding": "identity",
    };
    const etag = this.#ifRange(url);
    if (etag !== undefined) headers["if-range"] = etag;
    return headers;
  }

  /** The ETag for If-Range. A page would have to ask another origin first whether it may send that. */
  #ifRange(url: URL): string | undefined {
    const etag = this.#known?.validator.etag;
    return this.#hasIfRange && isStrong(etag) && !this.#isForeign(url) ? etag : undefined;
  }

  /** Whether an answer 200 has the ETag that was sent in If-Range: then there should have been a part. */
  #ignoresIfRange(url: URL, { headers }: Response): boolean {
    const { etag } = validatorOf(headers);
    return etag !== undefined && etag === this.#ifRange(url);
  }

  #isForeign(url: URL): boolean {
    const { page } = this.#options;
    return page !== undefined && page.origin !== url.origin;
  }

  #found(url: URL): void {
    const before = this.url;
    this.#at = url;
    if (this.url !== before) this.#trouble.note(`${shownUrl(this.#start)} redirects to ${this.url}`);
  }

  /** Waits for as long as the server wants to be left alone. */
  async #quiet(life: AbortSignal): Promise<void> {
    const left = this.#quietUntil - this.#options.clock.now();
    if (left > 0) await this.#pause(left, life);
    life.throwIfAborted();
  }

  async #pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    await pause(milliseconds, { clock: this.#options.clock, onWake, signal });
    signal.throwIfAborted();
  }
}

function closed(): HttpError {
  return new HttpError("closed", "the export was closed");
}
