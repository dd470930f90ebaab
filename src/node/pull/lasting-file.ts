import { GoneError } from "../../export/error.ts";
import type { Export } from "../../export/export.ts";
import { blocksize } from "../../export/filters/blocksize.ts";
import { HttpError } from "../../export/http/http-error.ts";
import type { Opened } from "../../export/resume/opened.ts";
import { resume } from "../../export/resume/resume.ts";
import type { UnflushedMemory } from "../../export/resume/unflushed-memory.ts";
import { LinkError } from "../../nbd/error.ts";
import { Backoff } from "../../resuming/backoff.ts";
import type { Clock } from "../../resuming/clock.ts";
import { pause } from "../../resuming/pause.ts";
import { type Deferred, deferred } from "../../streams/deferred.ts";
import { Ended } from "../../streams/ended.ts";
import { messageOf } from "../../streams/message-of.ts";
import { unlessAborted } from "../../streams/unless-aborted.ts";
import type { Log } from "../log/log.ts";
import type { LastingExport } from "../session/lasting-export.ts";
import type { SessionRecord } from "../session/session-state.ts";
import type { PulledFile } from "./pulled-file.ts";

export interface LastingFileOptions {
  /** Seconds for which the disk waits when the file's server goes away; 0: what is asked for fails then. */
  patience: number;
  /** Seconds for which a read may wait while nothing else is answered either; 0: as long as it is tried again. */
  timeout: number;
  /** The longest read that the server is asked for, in bytes; longer ones are split. */
  longest: number;
  unflushed?: UnflushedMemory | undefined;
  clock: Clock;
  /** Asks for the end of the session: nothing is waited for any more. */
  signal: AbortSignal;
  /** Takes a line for people. */
  log: Log;
  record: SessionRecord;
}

/** The incarnation of a file that nobody writes to: nothing of it can be lost. */
const ALWAYS = "always";

/** A file on a web server as a session has it: when the server goes away, what is asked for waits until it is back. */
export class LastingFile implements LastingExport {
  readonly target: Export;
  readonly ended: Promise<void>;
  readonly patience: number;
  readonly #file: PulledFile;
  readonly #options: LastingFileOptions;
  /** Ends the pause between two attempts to find the server again. */
  #wake: () => void = () => {};
  /** When something was answered last, by the clock. */
  #answered = Number.NEGATIVE_INFINITY;
  /** Who wants to know how the next of these attempts ends. */
  #asked: Deferred<void> | undefined;

  constructor(file: PulledFile, options: LastingFileOptions) {
    this.#file = file;
    this.#options = options;
    this.patience = options.patience;
    const split = blocksize({ longest: options.longest });
    if (this.patience === 0) {
      const end = deferred<void>();
      this.target = split({
        size: file.size,
        read: (offset, length, options) => this.#read(offset, length, options?.signal),
        close: async () => end.resolve(),
      });
      this.ended = end.promise;
      return;
    }
    const lasting = resume(this.#opened(), {
      open: (end, signal) => this.#open(end?.error, signal),
      memory: options.unflushed,
      log: (line) => options.log(line, "error"),
    });
    this.target = split(lasting);
    this.ended = lasting.ended;
  }

  keeps(): void {
    // What the server has must be the same file, so what is kept is too.
  }

  close(): void {
    // Nobody at the other side is told anything.
  }

  /** Finds out at once whether the server is back, where it is waited for. Rejects if it is not. */
  async hurry(): Promise<void> {
    if (this.#options.record.waitingUntil === undefined) return;
    this.#asked ??= deferred();
    this.#wake();
    await this.#asked.promise;
  }

  /** Reads, unless that takes so long that the local client, such as the kernel, would not wait for it. */
  async #read(offset: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { timeout, clock } = this.#options;
    if (timeout === 0) return this.#file.read(offset, length, signal);
    const end = new AbortController();
    const giveUp = () => end.abort(signal?.reason);
    signal?.addEventListener("abort", giveUp);
    if (signal?.aborted) giveUp();
    let callOff = () => {};
    const look = (since: number) => {
      const left = timeout * 1000 - (clock.now() - Math.max(since, this.#answered));
      if (left > 0) callOff = clock.after(left, () => look(since));
      else end.abort(late(length, offset, timeout));
    };
    look(clock.now());
    try {
      const bytes = await this.#file.read(offset, length, end.signal);
      this.#answered = clock.now();
      return bytes;
    } finally {
      callOff();
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** The file while its server is there. A read that has failed for good stays so; any other ends this. */
  #opened(): Opened {
    const end = deferred<void>();
    end.promise.catch(() => {});
    const target: Export = {
      size: this.#file.size,
      read: async (offset, length, options) => {
        try {
          return await this.#read(offset, length, options?.signal);
        } catch (error) {
          if (!(error instanceof HttpError && error.mayPass)) throw error;
          end.reject(error);
          throw new GoneError(error.message, { cause: error });
        }
      },
      close: async () => end.resolve(),
    };
    return { target, ended: end.promise, incarnation: ALWAYS };
  }

  /**
   * Waits until the server is back.
   * @throws Ended when the end of the session is asked for; LinkError when the server does not come back
   */
  async #open(why: unknown, signal: AbortSignal): Promise<Opened> {
    const { patience, clock, log, record } = this.#options;
    const waiting = new AbortController();
    const end = () => waiting.abort(new Ended("the session was ended while the file's server was away"));
    const late = `the file's server did not come back within ${patience} s: the disk is given up`;
    const callOff = clock.after(patience * 1000, () => waiting.abort(new LinkError(late)));
    const ends = [signal, this.#options.signal];
    for (const one of ends) {
      one.addEventListener("abort", end);
      if (one.aborted) end();
    }
    const since = clock.now();
    record.traffic.losses++;
    record.wait(new Date(Date.now() + patience * 1000));
    log(
      `the file's server is away: ${messageOf(why)}; the disk waits for it, ${patience} s at most`,
      "warning",
    );
    try {
      await this.#untilBack(waiting.signal);
      log(`the file's server is back after ${((clock.now() - since) / 1000).toFixed(1)} s`);
      return this.#opened();
    } finally {
      callOff();
      for (const one of ends) one.removeEventListener("abort", end);
      record.wait(undefined);
      this.#tell((asked) => asked.reject(waiting.signal.reason));
    }
  }

  async #untilBack(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    const backoff = new Backoff(() => clock.random());
    const onWake = (callback: () => void) => {
      this.#wake = callback;
      return () => {
        this.#wake = () => {};
      };
    };
    for (;;) {
      await pause(backoff.next(), { clock, onWake, signal });
      signal.throwIfAborted();
      try {
        const { changed } = await unlessAborted(this.#file.identity(), signal);
        // Then each read fails, and says so.
        if (changed !== undefined) log(changed, "error");
        this.#tell((asked) => asked.resolve());
        return;
      } catch (error) {
        signal.throwIfAborted();
        // Whatever it says now, it may say something else when all of it is there again.
        this.#tell((asked) => asked.reject(error));
      }
    }
  }

  #tell(how: (asked: Deferred<void>) => void): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked) how(asked);
  }
}

function late(length: number, offset: number, timeout: number): HttpError {
  const words = `reading ${length} bytes at ${offset}: the file's server has answered nothing for ${timeout} s`;
  return new HttpError("timeout", words, { mayPass: true });
}
