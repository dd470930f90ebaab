import type { Export } from "../../export/export.ts";
import { aroundChanges } from "../../export/filters/around-changes.ts";
import type { Sample } from "../../export/filters/cache-sample.ts";
import { Coverage } from "../../export/filters/coverage.ts";
import { lacks, type Opened } from "../../export/resume/opened.ts";
import { LinkError, NoAnswerError, RefusedError } from "../../nbd/error.ts";
import { deadline } from "../../streams/deadline.ts";
import { deferred } from "../../streams/deferred.ts";
import { Ended } from "../../streams/ended.ts";
import { messageOf } from "../../streams/message-of.ts";
import { ANOTHER_MEDIUM } from "../../transport/close-codes.ts";
import type { Log } from "../log/log.ts";
import { untilAborted } from "../until-aborted.ts";
import { firstSector } from "./first-sector.ts";
import { LossError } from "./last-writes.ts";
import { linkEndOf } from "./link-end.ts";
import { type LinkedExport, linkedExport } from "./linked-export.ts";
import { type BegunLink, isBegun, type Links, nextLink } from "./links.ts";
import { mediumDifference } from "./medium-difference.ts";
import { SessionOverError } from "./session-over-error.ts";
import type { SessionRecord } from "./session-state.ts";

/** Milliseconds that a new link has to answer the first requests. */
const FIRST_ANSWER = 15_000;

/** How many ranges of what is kept are compared on a new link. */
const SAMPLES = 16;

/** The medium of a new link is not the one that is attached. Nobody tries that again. */
export class AnotherMediumError extends RefusedError {
  override name = "AnotherMediumError";
  readonly closeCode = ANOTHER_MEDIUM;
}

export interface SuccessionOptions {
  first: LinkedExport;
  /** Where the next links come from. Each is from a side that may go on. */
  links: Links;
  /** With which the other side has made its samples. */
  nonce: string;
  /** Seconds for which a new link is waited for. */
  patience: number;
  /** Seconds without an answer after which a link is lost; 0: never. */
  timeout: number;
  /** Whether the medium is never written to, whatever its server allows. */
  isReadOnly: boolean;
  /** Asks for the end of the session: nothing is waited for any more. */
  signal: AbortSignal;
  /** Takes a line for people. */
  log: Log;
  record: SessionRecord;
}

/**
 * The links of a session, one after another. A link that is lost is waited for. A new one is taken when its medium is the same
 * and it has answered a first request; what was found wrong with it is said to it, and the wait goes on. A link that is offered
 * while another one is there takes its place.
 */
export class Succession {
  /** What is kept of the medium, which a new link must have too. */
  kept: { sample(most: number): Sample[] } | undefined;
  /** Whether something was written that was not flushed. */
  isUnflushed: () => boolean = () => false;
  #current: LinkedExport;
  /** The link that is being tried. */
  #trial: BegunLink | undefined;
  #next: BegunLink | undefined;
  #news = deferred();
  #isDry = false;
  /** There will be no other link. */
  #isOver = false;
  readonly #options: SuccessionOptions;
  readonly #changed = new Coverage();

  constructor(options: SuccessionOptions) {
    this.#options = options;
    this.#current = options.first;
    this.#changed.fit(options.first.remote.size);
    void this.#receive();
  }

  /** The link that is there, or was there last. */
  get current(): LinkedExport {
    return this.#current;
  }

  /** Takes note of what is changed through an export: a new link may differ there. */
  readonly noteChanges = aroundChanges((make, offset, length) => {
    this.#changed.mark(offset, length);
    return make();
  });

  /**
   * Gives the next link, once it has answered. It is called when a link has ended.
   * @throws Ended when the other side, or this one, has ended the session in order
   * @throws LinkError when nobody has come back; or what the link has failed with
   */
  async open(end: { error: unknown } | undefined, signal: AbortSignal): Promise<Opened> {
    try {
      return await this.#opened(end, signal);
    } catch (error) {
      this.#isOver = true;
      this.#next?.refuse(new SessionOverError());
      this.#next = undefined;
      throw error;
    }
  }

  async #opened(end: { error: unknown } | undefined, signal: AbortSignal): Promise<Opened> {
    const { patience, log, record } = this.#options;
    if (!this.#next) this.#judge(end);
    const since = performance.now();
    const waiting = new AbortController();
    const give = (reason: unknown) => waiting.abort(reason);
    const onAbort = () => give(this.#endWhileLost());
    const late = new LinkError(`nobody came back within ${patience} s: the disk is given up`);
    const callOff = deadline(patience * 1000, () => give(late));
    for (const one of [signal, this.#options.signal]) {
      one.addEventListener("abort", onAbort);
      if (one.aborted) onAbort();
    }
    record.wait(new Date(Date.now() + patience * 1000));
    if (!this.#next) {
      record.traffic.losses++;
      const why = end ? `: ${messageOf(end.error)}` : "";
      log(`the link is lost${why}; the disk waits for it, ${patience} s at most`, "warning");
    }
    try {
      for (;;) {
        const link = await this.#successor(waiting.signal);
        try {
          const opened = await this.#take(link, waiting.signal);
          const seconds = ((performance.now() - since) / 1000).toFixed(1);
          log(`the link is back after ${seconds} s`);
          return opened;
        } catch (error) {
          waiting.signal.throwIfAborted();
          log(`a new link was refused: ${messageOf(error)}`, "warning");
        }
      }
    } finally {
      callOff();
      for (const one of [signal, this.#options.signal]) one.removeEventListener("abort", onAbort);
      record.wait(undefined);
    }
  }

  /** @throws what the session ends with, where the link was not lost */
  #judge(end: { error: unknown } | undefined): void {
    const { signal } = this.#options;
    const how = linkEndOf(end?.error, this.#current.connection?.closeCode);
    if (how === "lost" && !signal.aborted) return;
    if (end) throw end.error;
    if (how === "failed") throw new LinkError("the other side closed the connection as a failure");
    throw new Ended("the other side has ended the session");
  }

  #endWhileLost(): Error {
    if (!this.isUnflushed()) return new Ended("the session was ended while its link was lost");
    return new LossError("the session was ended while its link was lost: what was written last may be lost");
  }

  /** Takes the links that come, as long as the session runs. */
  async #receive(): Promise<void> {
    const { links, signal } = this.#options;
    try {
      for (;;) {
        const link = await nextLink(links, signal);
        if (!link) break;
        if (!isBegun(link)) {
          const error = new TypeError("a session goes on only with a link whose handshake has begun");
          link.close(error);
          throw error;
        }
        this.#receiveOne(link);
      }
    } catch (error) {
      this.#options.log(`no more links come: ${messageOf(error)}`, "warning");
    }
    this.#isDry = true;
    this.#news.resolve();
    this.#next?.refuse(new Ended("the session has ended"));
    this.#next = undefined;
  }

  #receiveOne(link: BegunLink): void {
    if (this.#isOver) {
      link.refuse(new SessionOverError());
      return;
    }
    const difference = this.#difference(link);
    if (difference !== undefined) {
      const error = another(difference);
      this.#options.log(`a new link was refused: ${error.message}`, "warning");
      link.refuse(error);
      return;
    }
    this.#next?.refuse(link.succession);
    this.#next = link;
    // Nobody but the last one that came goes on: the others may be gone without a word.
    this.#trial?.handshake.transport.close(link.succession);
    this.#current.close(link.succession);
    this.#news.resolve();
  }

  #difference({ handshake }: BegunLink): string | undefined {
    const { introduction, remote } = this.#options.first;
    if (!introduction || !handshake.introduction) return undefined;
    return mediumDifference(
      {
        size: remote.size,
        introduction,
        nonce: this.#options.nonce,
        isWritable: this.#isWritable,
        wasChanged: (offset, length) => this.#changed.has(offset, length),
      },
      handshake.introduction,
    );
  }

  get #isWritable(): boolean {
    return !this.#options.isReadOnly && this.#options.first.remote.write !== undefined;
  }

  /** The next link that is to be tried. */
  async #successor(signal: AbortSignal): Promise<BegunLink> {
    for (;;) {
      signal.throwIfAborted();
      const link = this.#next;
      this.#next = undefined;
      if (link) return link;
      if (this.#isDry) throw new LinkError("the link is lost, and no other one can come");
      this.#news = deferred();
      await untilAborted(this.#news.promise, signal);
    }
  }

  /**
   * Tries a link. It is closed when that fails, and told why.
   * @throws Error when its export cannot take the place of the one before
   */
  async #take(link: BegunLink, signal: AbortSignal): Promise<Opened> {
    this.#trial = link;
    try {
      return await this.#tried(link, signal);
    } finally {
      this.#trial = undefined;
    }
  }

  async #tried(link: BegunLink, signal: AbortSignal): Promise<Opened> {
    const { timeout, first } = this.#options;
    const window = async () => first.remote.window;
    const linked = await linkedExport(link, { timeout, silence: 0, signal, window });
    if (!linked) throw signal.reason;
    const { remote, introduction } = linked;
    const callOff = deadline(FIRST_ANSWER, () =>
      linked.close(new NoAnswerError(`the first request was not answered for ${FIRST_ANSWER / 1000} s`)),
    );
    const giveUp = () => linked.close(signal.reason);
    signal.addEventListener("abort", giveUp);
    try {
      const fault = lacks(remote, first.remote);
      if (fault) throw another(fault);
      await firstSector(remote);
      await this.#compareKept(remote);
      signal.throwIfAborted();
    } catch (error) {
      linked.close(error);
      throw error;
    } finally {
      callOff();
      signal.removeEventListener("abort", giveUp);
    }
    this.#current = linked;
    this.#options.record.connection = linked.connection;
    return { target: remote, ended: remote.closed, incarnation: introduction?.incarnation };
  }

  /** What is kept must be there on the new link too, except where it was changed and perhaps not flushed. */
  async #compareKept(next: Export): Promise<void> {
    const samples = (this.kept?.sample(SAMPLES) ?? []).filter(
      ({ offset, bytes }) => !this.#changed.has(offset, bytes.byteLength),
    );
    await Promise.all(
      samples.map(async ({ offset, bytes }) => {
        const now = await next.read(offset, bytes.byteLength);
        if (now.some((byte, i) => byte !== bytes[i])) throw another("it has other bytes");
      }),
    );
  }
}

function another(difference: string): AnotherMediumError {
  return new AnotherMediumError(`this is another medium than the one in use: ${difference}`);
}
