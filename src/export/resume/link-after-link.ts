import { deferred } from "../../streams/deferred.ts";
import { Ended } from "../../streams/ended.ts";
import { messageOf } from "../../streams/message-of.ts";
import { Errno, ExportError, GivenUpError, GoneError } from "../error.ts";
import type { Export } from "../export.ts";
import { CurrentLink } from "./current-link.ts";
import { checkOpened, lacks, type Opened } from "./opened.ts";
import { WaitingCalls } from "./waiting-calls.ts";

export interface LinkAfterLinkOptions {
  /** See `ResumeOptions`. */
  open(end: { error: unknown } | undefined, signal: AbortSignal): Promise<Opened>;
  /** See `ResumeOptions`. */
  onstate?: ((isUp: boolean) => void) | undefined;
  /** A flush of a link that nobody has asked for. */
  flush(link: CurrentLink): Promise<void>;
  /** What has to be done on a new link before anything is asked of it. Resolves with whether it is still there. */
  prepare(link: CurrentLink): Promise<boolean>;
  /** Called when there will be no other link, with what calls fail with. */
  onover(reason: GivenUpError): void;
}

/** One link after the other: which one there is, when it is lost, and who waits for the next. */
export class LinkAfterLink {
  /** Settles when there will be no link any more: as the last `open` has rejected, but resolves for `Ended` and after `close`. */
  readonly ended: Promise<void>;
  readonly #first: Export;
  readonly #options: LinkAfterLinkOptions;
  readonly #waiting = new WaitingCalls<CurrentLink>();
  readonly #end = deferred();
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #last: CurrentLink;
  #up: CurrentLink | undefined;
  #over: GivenUpError | undefined;

  constructor(first: Opened, options: LinkAfterLinkOptions) {
    this.ended = this.#end.promise;
    this.#first = first.target;
    this.#options = options;
    this.#last = this.#linkOf(first);
    this.#up = this.#last;
    this.#running = this.#run();
  }

  /** The link that calls go to. */
  get up(): CurrentLink | undefined {
    return this.#up;
  }

  /** The last link that there was: it may be lost, or not be ready yet. */
  get last(): CurrentLink {
    return this.#last;
  }

  /** Whether there will be no other link. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** @throws GivenUpError when there will be no other link; the signal's reason */
  throwIfOver(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#over) throw this.#over;
  }

  /** The next link that calls go to. Rejects as `throwIfOver` throws. */
  async next(signal: AbortSignal | undefined): Promise<CurrentLink> {
    this.throwIfOver(signal);
    return this.#waiting.wait(signal);
  }

  /** Passes an error on, unless the call is to be made again. */
  throwUnlessLost(link: CurrentLink, error: unknown, signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (!this.isLost(link, error)) throw error;
  }

  /** Whether a call has failed because its link is gone. A server that shuts down is as good as gone. */
  isLost(link: CurrentLink, error: unknown): boolean {
    const isShuttingDown = error instanceof ExportError && error.errno === Errno.ESHUTDOWN;
    if (!(error instanceof GoneError) && !isShuttingDown && !link.isOver) return false;
    this.#lose(link);
    return true;
  }

  /** Fails who waits, and closes the link that there is. */
  async close(): Promise<void> {
    const end = new Ended("the export was closed");
    this.#finish(end);
    this.#closing.abort(end);
    try {
      await this.#last.close();
    } finally {
      await this.#running;
    }
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const end = await this.#last.end;
        this.#lose(this.#last);
        await this.#last.close().catch(() => {});
        if (this.#over) return;
        const opened = await this.#options.open(end, this.#closing.signal);
        checkOpened(opened, "the next link");
        this.#last = this.#linkOf(opened);
        if (this.#over) return;
        const fault = lacks(opened.target, this.#first);
        if (fault) throw new Error(`going on over the next link: its export is not the same: ${fault}`);
        if (await this.#options.prepare(this.#last)) this.#goOn(this.#last);
      }
    } catch (error) {
      this.#finish(error);
    } finally {
      await this.#last.close().catch(() => {});
    }
  }

  #linkOf(opened: Opened): CurrentLink {
    return new CurrentLink(opened, (link) => this.#options.flush(link));
  }

  /** Nothing more is asked of a link. */
  #lose(link: CurrentLink) {
    link.close().catch(() => {});
    if (this.#up !== link) return;
    this.#up = undefined;
    this.#options.onstate?.(false);
  }

  #goOn(link: CurrentLink) {
    if (this.#over) return;
    this.#up = link;
    this.#options.onstate?.(true);
    this.#waiting.goOn(link);
  }

  /** There is no other link. */
  #finish(error: unknown) {
    if (this.#over) return;
    this.#over = new GivenUpError(`the disk has no link any more: ${messageOf(error)}`, { cause: error });
    this.#up = undefined;
    this.#options.onover(this.#over);
    this.#waiting.fail(this.#over);
    if (error instanceof Ended) this.#end.resolve();
    else this.#end.reject(error);
  }
}
