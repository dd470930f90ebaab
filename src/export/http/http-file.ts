import { Backoff } from "../../resuming/backoff.ts";
import { pause } from "../../resuming/pause.ts";
import { onWake } from "../../resuming/wakes.ts";
import { shownUrl } from "../../transport/shown-url.ts";
import type { KnownFile, WantedRange } from "./check-part.ts";
import { HttpError } from "./http-error.ts";
import { type HttpIdentity, identityOf } from "./identity.ts";
import type { OwnHeaders } from "./own-headers.ts";
import { type Part, PartAsking, type PartAskingOptions } from "./part-asking.ts";
import { Slots } from "./slots.ts";
import { Trouble } from "./trouble.ts";

export interface HttpFileOptions extends PartAskingOptions {
  retries: number;
  /** How many parts are asked for at a time. */
  concurrency: number;
  onnote(line: string): void;
}

/** How often the first request is tried again at most: a URL that is wrong should be told soon. */
const FIRST_RETRIES = 2;

/** Statuses by which a URL that was redirected to says that it is not valid any more. */
const STALE: ReadonlySet<number | undefined> = new Set([401, 403, 404, 410]);

/** The first byte: the answer to it says all that there is to know of a file. */
const FIRST_BYTE: WantedRange = { first: 0, last: 0 };

/** One file on a web server: where it is, whether it is still the same, and who waits for parts of it. */
export class HttpFile {
  readonly #start: URL;
  readonly #asking: PartAsking;
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
  /** Until when the server wants to be left alone, by the clock. */
  #quietUntil = 0;

  constructor(url: URL, own: OwnHeaders, options: HttpFileOptions) {
    this.#start = url;
    this.#at = url;
    this.#asking = new PartAsking(own, options);
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

  /** Asks once what the file is now, beside all that waits. */
  async identity(): Promise<HttpIdentity> {
    if (!this.#changed) {
      const doing = `looking at ${shownUrl(this.#start)}`;
      try {
        await this.#run(doing, undefined, (life) => this.#once(this.#at, FIRST_BYTE, life));
      } catch (error) {
        if (!this.#changed) throw error;
      }
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
      let at: URL | undefined;
      for (let failures = 0; ; failures++) {
        await this.#quiet(life);
        if (this.#changed) throw this.#changed;
        try {
          return await this.#once(at ?? this.#at, wanted, life);
        } catch (error) {
          if (!(error instanceof HttpError && error.mayPass) || failures >= retries) throw error;
          this.#trouble.failed(error.while(doing));
          this.#leaveAlone(error.retryAfter ?? 0);
          await this.#pause(backoff.next(), life);
          // What a redirect led to may have been for a while only.
          at = this.#start;
        }
      }
    } finally {
      this.#slots.leave();
    }
  }

  /** Asks once; and where a redirect led before is not valid any more, where the URL leads now. */
  async #once(at: URL, wanted: WantedRange, life: AbortSignal): Promise<Part> {
    try {
      const part = await this.#asking.ask({ start: this.#start, at, wanted, known: this.#known }, life);
      this.#found(part.url);
      this.#trouble.succeeded();
      return part;
    } catch (error) {
      if (!(error instanceof HttpError) || life.aborted) throw error;
      if (error.code === "changed") this.#changed = error;
      if (at === this.#start || !STALE.has(error.status)) throw error;
    }
    return this.#once(this.#start, wanted, life);
  }

  #found(url: URL): void {
    const before = this.url;
    this.#at = url;
    if (this.url !== before) this.#trouble.note(`${shownUrl(this.#start)} redirects to ${this.url}`);
  }

  #leaveAlone(milliseconds: number): void {
    this.#quietUntil = Math.max(this.#quietUntil, this.#options.clock.now() + milliseconds);
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
