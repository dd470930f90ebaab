import { checkMethods, checkObject, checkType } from "../../streams/check.ts";
import { deferred } from "../../streams/deferred.ts";
import { type AsyncDisposable, disposable } from "../../streams/disposable.ts";
import { Ended } from "../../streams/ended.ts";
import { messageOf } from "../../streams/message-of.ts";
import { Errno, ExportError, GivenUpError, GoneError } from "../error.ts";
import type { Export, Extent } from "../export.ts";
import { type CallLimits, CallRoom } from "./call-room.ts";
import { type Change, trim, write, writeZeroes } from "./change.ts";
import { CurrentLink } from "./current-link.ts";
import { inLines } from "./in-lines.ts";
import { checkOpened, lacks, type Opened } from "./opened.ts";
import { OrderedChanges } from "./ordered-changes.ts";
import { UnflushedChanges } from "./unflushed-changes.ts";
import { type UnflushedMemory, unflushedMemory } from "./unflushed-memory.ts";
import { WaitingCalls } from "./waiting-calls.ts";

export type { Opened } from "./opened.ts";

/** What is taken in where nothing else is said: more than local clients can have outstanding at a time. */
const LIMITS: CallLimits = { calls: 4096, bytes: 1 << 26 };

/** How many changes are sent again at a time; the link itself bounds their bytes. */
const LINES = 1024;

export interface ResumeOptions {
  /**
   * Called when a link is over, for whatever reason. It resolves with the next link, where it has found that the medium is the
   * same. It rejects where there will be none: with `Ended` after an end in order. It settles soon after the signal was aborted.
   * @param end what the link has failed with, if it has
   */
  open(end: { error: unknown } | undefined, signal: AbortSignal): Promise<Opened>;
  /** Where copies of what was acknowledged and not flushed count. Default: 32 MiB of this process or page. */
  memory?: UnflushedMemory | undefined;
  /** How many changes, and calls that were made while there was no link, are taken in; more wait. Default 4,096 and 64 MiB. */
  held?: CallLimits | undefined;
  /** Takes a line for people. */
  log(line: string): void;
  /** Called with false when the link is lost, and with true when calls go on. */
  onstate?(isUp: boolean): void;
}

/** An export that outlives its links. */
export interface ResumedExport extends Export {
  /** Settles when there will be no link any more: as the last `open` has rejected, but resolves for `Ended` and after `close`. */
  readonly ended: Promise<void>;
  /** Whether all that was acknowledged is there. Where it is not, changes and flushes fail. */
  readonly isWhole: boolean;
  /** Whether any byte of a range has a change that is not known to be on stable storage: outstanding, or not flushed. */
  unflushed(offset: number, length: number): boolean;
  /** Fails what waits, and closes the link that there is. */
  close(): Promise<void>;
}

/** What `Resumed` is made of. */
export interface Parts {
  order: Pick<OrderedChanges, "enter" | "leave" | "has" | "fail">;
  unflushed: Pick<UnflushedChanges, "moment" | "add" | "flushed" | "has" | "all" | "giveUp">;
}

/**
 * Goes on over a new link when one is lost: what is asked for meanwhile waits, and what had no answer is asked for again. What the
 * server may have lost of what it had acknowledged is made again before anything else.
 *
 * - Changes of the same bytes are made one after the other, in the order of the calls.
 * - A flush, and a change with `fua`, settle only when it is true: on the link on which it was asked for last.
 * - An error of the server is passed on; only a call whose link is gone is made again. A signal cancels also what waits.
 *
 * Copies of what was acknowledged are kept until a flush. When memory for them is short, it flushes by itself. A change for which
 * there is none is acknowledged after a flush. Where the next export has no `flush`, nothing is kept: after a new incarnation
 * changes fail, if there were any before.
 *
 * What the first export can do counts for all: a later one that lacks something of it is an end.
 *
 * @throws TypeError, RangeError when an argument is not what it should be
 */
export function resume(first: Opened, options: ResumeOptions): ResumedExport & AsyncDisposable {
  checkOpened(first, "the first link");
  checkOptions(options);
  const memory = (options.memory ?? unflushedMemory).share(() => resumed.relieve());
  const parts: Parts = { order: new OrderedChanges(), unflushed: new UnflushedChanges(memory) };
  const resumed: Resumed = new Resumed(first, options, parts, () => memory.close());
  return resumed.export;
}

function checkOptions(options: ResumeOptions): void {
  checkObject(options, "the options");
  const { open, memory, log, onstate } = options;
  checkType(open, "open", "function");
  checkType(log, "log", "function");
  if (onstate !== undefined) checkType(onstate, "onstate", "function");
  if (memory !== undefined) checkMethods(memory, "the memory", "an UnflushedMemory", ["share"]);
}

/** See `resume`. */
export class Resumed {
  readonly export: ResumedExport & AsyncDisposable;
  readonly #first: Export;
  readonly #options: ResumeOptions;
  readonly #parts: Parts;
  readonly #release: () => void;
  readonly #room: CallRoom;
  readonly #waiting = new WaitingCalls<CurrentLink>();
  readonly #ended = deferred();
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  /** The last link that there was. */
  #link: CurrentLink;
  /** The same, while calls go to it. */
  #up: CurrentLink | undefined;
  /** There will be no other link; what calls fail with. */
  #over: GivenUpError | undefined;
  /** The incarnation that has all that was acknowledged. */
  #whole: string | undefined;
  #isWhole = true;
  /** Changes were acknowledged by an export without flush. */
  #hasChanged = false;

  /** @param release called at the end, to give back what the parts hold */
  constructor(first: Opened, options: ResumeOptions, parts: Parts, release: () => void = () => {}) {
    this.#first = first.target;
    this.#options = options;
    this.#parts = parts;
    this.#release = release;
    this.#room = new CallRoom(options.held ?? LIMITS);
    this.#link = this.#linkOf(first);
    this.#up = this.#link;
    this.#whole = first.incarnation;
    this.export = this.#exportOf(first.target);
    this.#running = this.#run();
  }

  /** Flushes soon, as memory for what is not flushed is short; the change that wanted it is noted before that. */
  relieve(): void {
    queueMicrotask(() => {
      const link = this.#up;
      if (link && this.#isWhole && !link.flushes.isRunning) link.flushes.begin().catch(() => {});
    });
  }

  #exportOf(first: Export): ResumedExport & AsyncDisposable {
    const { size, blockSize } = first;
    const isWhole = () => this.#isWhole;
    return disposable<ResumedExport>({
      size,
      ...(blockSize && { blockSize }),
      read: (offset, length, options) =>
        this.#ask((target) => target.read(offset, length, options), length, options?.signal),
      ...(first.write && {
        write: (offset, data, options) => this.#change(write(offset, data, options)),
      }),
      ...(first.trim && { trim: (offset, length, options) => this.#change(trim(offset, length, options)) }),
      ...(first.writeZeroes && {
        writeZeroes: (offset, length, options) => this.#change(writeZeroes(offset, length, options)),
      }),
      ...(first.flush && { flush: () => this.#flush() }),
      ...(first.cache && { cache: (offset, length, options) => this.#hint(offset, length, options?.signal) }),
      ...(first.extents && {
        extents: (offset, length, options) =>
          this.#ask((target) => target.extents!(offset, length, options), 0, options?.signal),
      }),
      ...(first.knownExtents && { knownExtents: (offset, length) => this.#knownExtents(offset, length) }),
      ended: this.#ended.promise,
      get isWhole() {
        return isWhole();
      },
      unflushed: (offset, length) => {
        const end = offset + length;
        return this.#parts.unflushed.has(offset, end) || this.#parts.order.has(offset, end);
      },
      close: () => this.#close(),
    });
  }

  /** A question, which changes nothing and may be asked as often as need be. To one that is answered no more than a `then` is added. */
  #ask<T>(call: (target: Export) => Promise<T>, bytes: number, signal: AbortSignal | undefined): Promise<T> {
    const link = this.#up;
    if (!link) return this.#askLater(call, bytes, signal);
    return call(link.target).then(undefined, (error) => {
      this.#throwUnlessLost(link, error, signal);
      return this.#askLater(call, bytes, signal);
    });
  }

  async #askLater<T>(
    call: (target: Export) => Promise<T>,
    bytes: number,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const entering = this.#enter(bytes, signal);
    if (entering) await entering;
    try {
      for (;;) {
        const link = this.#up ?? (await this.#nextLink(signal));
        try {
          return await call(link.target);
        } catch (error) {
          this.#throwUnlessLost(link, error, signal);
        }
      }
    } finally {
      this.#room.leave(bytes);
    }
  }

  /** A hint is not worth waiting for a link. */
  async #hint(offset: number, length: number, signal: AbortSignal | undefined): Promise<void> {
    const link = this.#up;
    if (!link) return;
    try {
      await link.target.cache!(offset, length, signal && { signal });
    } catch (error) {
      this.#throwUnlessLost(link, error, signal);
    }
  }

  #knownExtents(offset: number, length: number): Extent[] | Promise<Extent[]> {
    const unknown = [{ length, hole: false, zero: false }];
    const link = this.#up;
    if (!link?.target.knownExtents) return unknown;
    const known = link.target.knownExtents(offset, length);
    if (Array.isArray(known)) return known;
    return known.catch((error) => {
      this.#throwUnlessLost(link, error, undefined);
      return unknown;
    });
  }

  async #change(change: Change): Promise<void> {
    const { start, end, bytes, options } = change;
    const { order } = this.#parts;
    const entering = this.#enter(bytes, options?.signal);
    // What need not wait is sent in the turn of the call: so calls keep their order.
    if (entering) await entering;
    try {
      options?.signal?.throwIfAborted();
      const turn = order.enter(start, end, options?.signal);
      if (turn.wait) await turn.wait;
      try {
        await this.#make(change);
      } finally {
        order.leave(turn);
      }
    } finally {
      this.#room.leave(bytes);
    }
  }

  /** Makes a change whose turn has come, on one link after the other until it was answered, and need not be made again. */
  async #make(change: Change): Promise<void> {
    const signal = change.options?.signal;
    for (;;) {
      const link = this.#up ?? (await this.#nextLink(signal));
      this.#throwUnlessWhole();
      try {
        await change.make(link.target);
        // An answer of an earlier link says nothing any more: the server may have crashed since, and was sent what is older again.
        if (link !== this.#link) continue;
        if (this.#note(change)) return;
        await link.flushes.begin();
        // On a later link something older may have been made again over it.
        if (link === this.#link) return;
      } catch (error) {
        this.#throwUnlessLost(link, error, signal);
      }
    }
  }

  /** Takes note of a change that was answered. False: it has to be flushed. */
  #note(change: Change): boolean {
    if (this.#first.flush) return this.#over !== undefined || this.#parts.unflushed.add(change);
    this.#hasChanged = true;
    return true;
  }

  async #flush(): Promise<void> {
    const entering = this.#enter(0, undefined);
    if (entering) await entering;
    try {
      for (;;) {
        const link = this.#up ?? (await this.#nextLink(undefined));
        this.#throwUnlessWhole();
        try {
          await this.#flushOn(link);
          this.#throwUnlessWhole();
          return;
        } catch (error) {
          this.#throwUnlessLost(link, error, undefined);
        }
      }
    } finally {
      this.#room.leave(0);
    }
  }

  /** Flushes, on a link that has all that was acknowledged. What is true then stays true, so the answer may come late. */
  async #flushOn(link: CurrentLink): Promise<void> {
    const { unflushed } = this.#parts;
    const { moment } = unflushed;
    await link.target.flush!();
    unflushed.flushed(moment);
  }

  /** A flush that nobody has asked for. When it fails nobody would learn of what was lost, but for this. */
  async #flushUnasked(link: CurrentLink): Promise<void> {
    try {
      await this.#flushOn(link);
    } catch (error) {
      if (!this.#isLost(link, error)) this.#break(`a flush has failed: ${messageOf(error)}`);
      throw error;
    }
  }

  /** Takes a call in. */
  #enter(bytes: number, signal: AbortSignal | undefined): Promise<void> | undefined {
    signal?.throwIfAborted();
    if (this.#over) throw this.#over;
    return this.#room.enter(bytes, signal);
  }

  /** The next link that is up. */
  async #nextLink(signal: AbortSignal | undefined): Promise<CurrentLink> {
    signal?.throwIfAborted();
    if (this.#over) throw this.#over;
    return this.#waiting.wait(signal);
  }

  #throwUnlessWhole() {
    if (this.#isWhole) return;
    const what = "what was acknowledged before may be lost, so nothing is written or flushed any more";
    throw new ExportError(Errno.EIO, `${what}; reads go on`);
  }

  /** Passes an error on, unless the call is to be made again. */
  #throwUnlessLost(link: CurrentLink, error: unknown, signal: AbortSignal | undefined) {
    signal?.throwIfAborted();
    if (!this.#isLost(link, error)) throw error;
  }

  /** Whether a call has failed because its link is gone. A server that shuts down is as good as gone. */
  #isLost(link: CurrentLink, error: unknown): boolean {
    const isShuttingDown = error instanceof ExportError && error.errno === Errno.ESHUTDOWN;
    if (!(error instanceof GoneError) && !isShuttingDown && !link.isOver) return false;
    this.#lose(link);
    return true;
  }

  /** Nothing more is asked of a link. */
  #lose(link: CurrentLink) {
    link.close().catch(() => {});
    if (this.#up !== link) return;
    this.#up = undefined;
    this.#options.onstate?.(false);
  }

  #linkOf(opened: Opened): CurrentLink {
    return new CurrentLink(opened, (link) => this.#flushUnasked(link));
  }

  /** One link after the other. */
  async #run(): Promise<void> {
    try {
      for (;;) {
        const end = await this.#link.end;
        this.#lose(this.#link);
        await this.#link.close().catch(() => {});
        if (this.#over) return;
        const opened = await this.#options.open(end, this.#closing.signal);
        checkOpened(opened, "the next link");
        this.#link = this.#linkOf(opened);
        if (this.#over) return;
        const fault = lacks(opened.target, this.#first);
        if (fault) throw new Error(`going on over the next link: its export is not the same: ${fault}`);
        if (await this.#makeWhole(this.#link)) this.#goOn(this.#link);
      }
    } catch (error) {
      this.#finish(error);
    } finally {
      await this.#link.close().catch(() => {});
    }
  }

  /**
   * Makes sure that the server has all that was acknowledged, if that can be had.
   * @returns whether the link is still there
   */
  async #makeWhole(link: CurrentLink): Promise<boolean> {
    const { incarnation, target } = link;
    const hasAll = incarnation !== undefined && incarnation === this.#whole;
    if (hasAll || !this.#isWhole) return !link.isOver;
    // If this ends half way, there is none that has everything.
    this.#whole = undefined;
    if (this.#hasChanged) {
      this.#break("the server was started anew, and cannot flush");
      return !link.isOver;
    }
    try {
      const pieces = this.#parts.unflushed.all();
      await inLines(pieces, LINES, ({ start, end, kept }) => kept.again!(target, start, end));
      this.#whole = incarnation;
    } catch (error) {
      if (this.#isLost(link, error)) return false;
      this.#break(`the server was started anew, and cannot be sent it again: ${messageOf(error)}`);
    }
    return !link.isOver;
  }

  #goOn(link: CurrentLink) {
    if (this.#over) return;
    this.#up = link;
    this.#options.onstate?.(true);
    this.#waiting.goOn(link);
  }

  /** From now on nothing is changed, as something that was acknowledged may be lost. */
  #break(why: string) {
    if (!this.#isWhole) return;
    this.#isWhole = false;
    this.#parts.unflushed.giveUp();
    const what = "what was written last may be lost, so nothing is written any more; reads go on";
    this.#options.log(`${what}: ${why}`);
  }

  /** There is no other link. */
  #finish(error: unknown) {
    if (this.#over) return;
    const over = new GivenUpError(`the disk has no link any more: ${messageOf(error)}`, { cause: error });
    this.#over = over;
    this.#up = undefined;
    this.#room.fail(over);
    this.#parts.order.fail(over);
    this.#waiting.fail(over);
    if (error instanceof Ended) this.#ended.resolve();
    else this.#ended.reject(error);
  }

  async #close(): Promise<void> {
    const end = new Ended("the export was closed");
    this.#finish(end);
    this.#closing.abort(end);
    try {
      await this.#link.close();
    } finally {
      await this.#running;
      this.#release();
    }
  }
}
