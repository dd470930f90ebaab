import { checkMethods, checkObject, checkType } from "../../streams/check.ts";
import { type AsyncDisposable, disposable } from "../../streams/disposable.ts";
import type { Export, Extent } from "../export.ts";
import { Acknowledged, type AcknowledgedOptions } from "./acknowledged.ts";
import { type CallLimits, CallRoom } from "./call-room.ts";
import { type Change, trim, write, writeZeroes } from "./change.ts";
import { LinkAfterLink } from "./link-after-link.ts";
import { checkOpened, type Opened } from "./opened.ts";
import { OrderedChanges } from "./ordered-changes.ts";
import { UnflushedChanges } from "./unflushed-changes.ts";
import { type UnflushedMemory, unflushedMemory } from "./unflushed-memory.ts";

export type { Opened } from "./opened.ts";

/** What is taken in where nothing else is said: more than local clients can have outstanding at a time. */
const LIMITS: CallLimits = { calls: 4096, bytes: 1 << 26 };

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
  unflushed: AcknowledgedOptions["unflushed"];
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
  readonly #parts: Parts;
  readonly #release: () => void;
  readonly #room: CallRoom;
  readonly #links: LinkAfterLink;
  readonly #acknowledged: Acknowledged;

  /** @param release called at the end, to give back what the parts hold */
  constructor(first: Opened, options: ResumeOptions, parts: Parts, release: () => void = () => {}) {
    const { open, onstate, log, held = LIMITS } = options;
    this.#parts = parts;
    this.#release = release;
    this.#room = new CallRoom(held);
    this.#acknowledged = new Acknowledged({
      unflushed: parts.unflushed,
      hasFlush: first.target.flush !== undefined,
      incarnation: first.incarnation,
      isLost: (link, error) => this.#links.isLost(link, error),
      log,
    });
    this.#links = new LinkAfterLink(first, {
      open,
      onstate,
      flush: (link) => this.#acknowledged.flushUnasked(link),
      prepare: (link) => this.#acknowledged.makeWhole(link),
      onover: (reason) => {
        this.#room.fail(reason);
        parts.order.fail(reason);
      },
    });
    this.export = this.#exportOf(first.target);
  }

  /** Flushes soon, as memory for what is not flushed is short; the change that wanted it is noted before that. */
  relieve(): void {
    queueMicrotask(() => {
      const link = this.#links.up;
      if (link && this.#acknowledged.isWhole && !link.flushes.isRunning) link.flushes.begin().catch(() => {});
    });
  }

  #exportOf(first: Export): ResumedExport & AsyncDisposable {
    const { size, blockSize } = first;
    const isWhole = () => this.#acknowledged.isWhole;
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
      ended: this.#links.ended,
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
    const link = this.#links.up;
    if (!link) return this.#askLater(call, bytes, signal);
    return call(link.target).then(undefined, (error) => {
      this.#links.throwUnlessLost(link, error, signal);
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
        const link = this.#links.up ?? (await this.#links.next(signal));
        try {
          return await call(link.target);
        } catch (error) {
          this.#links.throwUnlessLost(link, error, signal);
        }
      }
    } finally {
      this.#room.leave(bytes);
    }
  }

  /** A hint is not worth waiting for a link. */
  async #hint(offset: number, length: number, signal: AbortSignal | undefined): Promise<void> {
    const link = this.#links.up;
    if (!link) return;
    try {
      await link.target.cache!(offset, length, signal && { signal });
    } catch (error) {
      this.#links.throwUnlessLost(link, error, signal);
    }
  }

  #knownExtents(offset: number, length: number): Extent[] | Promise<Extent[]> {
    const unknown = [{ length, hole: false, zero: false }];
    const link = this.#links.up;
    if (!link?.target.knownExtents) return unknown;
    const known = link.target.knownExtents(offset, length);
    if (Array.isArray(known)) return known;
    return known.catch((error) => {
      this.#links.throwUnlessLost(link, error, undefined);
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
      const link = this.#links.up ?? (await this.#links.next(signal));
      this.#acknowledged.throwUnlessWhole();
      try {
        await change.make(link.target);
        // An answer of an earlier link says nothing any more: the server may have crashed since, and was sent what is older again.
        if (link !== this.#links.last) continue;
        if (this.#links.isOver || this.#acknowledged.note(change)) return;
        await link.flushes.begin();
        // On a later link something older may have been made again over it.
        if (link === this.#links.last) return;
      } catch (error) {
        this.#links.throwUnlessLost(link, error, signal);
      }
    }
  }

  async #flush(): Promise<void> {
    const entering = this.#enter(0, undefined);
    if (entering) await entering;
    try {
      for (;;) {
        const link = this.#links.up ?? (await this.#links.next(undefined));
        this.#acknowledged.throwUnlessWhole();
        try {
          await this.#acknowledged.flushOn(link);
          this.#acknowledged.throwUnlessWhole();
          return;
        } catch (error) {
          this.#links.throwUnlessLost(link, error, undefined);
        }
      }
    } finally {
      this.#room.leave(0);
    }
  }

  /** Takes a call in. */
  #enter(bytes: number, signal: AbortSignal | undefined): Promise<void> | undefined {
    this.#links.throwIfOver(signal);
    return this.#room.enter(bytes, signal);
  }

  async #close(): Promise<void> {
    try {
      await this.#links.close();
    } finally {
      this.#release();
    }
  }
}
