/** Links to disks in memory, whose calls are answered when the test says so. */
import { GoneError } from "../../../src/export/error.ts";
import type { Export } from "../../../src/export/export.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { type Opened, type ResumeOptions, resume } from "../../../src/export/resume/resume.ts";
import { type Deferred, deferred } from "../../../src/streams/deferred.ts";

/** A call of an export that waits for the test. */
export interface Call {
  /** As "write 512 at 0 FUA". */
  readonly words: string;
  /** Does it and answers, or fails. */
  answer(error?: Error): void;
}

export interface StandInOptions {
  bytes?: Uint8Array;
  incarnation?: string | undefined;
  /** Answers at once. Default false. */
  isPrompt?: boolean;
  /** What is otherwise than in memory. */
  changes?: Partial<Export>;
}

/** A link whose calls are noted. */
export class StandInLink {
  readonly calls: Call[] = [];
  readonly ended: Deferred<void> = deferred();
  readonly opened: Opened;
  closed = 0;
  #isOver = false;

  constructor({ bytes = new Uint8Array(4096), isPrompt = false, changes, ...options }: StandInOptions = {}) {
    const memory = memoryExport(bytes);
    const call = <T>(words: string, run: () => Promise<T>): Promise<T> => {
      if (this.#isOver) return Promise.reject(new GoneError("the link is over"));
      if (isPrompt) return run();
      const answer = deferred<T>();
      this.calls.push({
        words,
        answer: (error) => (error ? answer.reject(error) : run().then(answer.resolve, answer.reject)),
      });
      return answer.promise;
    };
    const fua = (options?: { fua?: boolean }) => (options?.fua ? " FUA" : "");
    const target: Export = {
      size: memory.size,
      read: (offset, length) => call(`read ${length} at ${offset}`, () => memory.read(offset, length)),
      write: (offset, data, options) =>
        call(`write ${data.byteLength} at ${offset}${fua(options)}`, () => memory.write!(offset, data)),
      trim: (offset, length, options) =>
        call(`trim ${length} at ${offset}${fua(options)}`, () => memory.trim!(offset, length)),
      writeZeroes: (offset, length, options) =>
        call(
          `zeroes ${length} at ${offset}${fua(options)}${options?.noHole ? " no hole" : ""}${options?.fast ? " fast" : ""}`,
          () => memory.writeZeroes!(offset, length),
        ),
      flush: () => call("flush", () => memory.flush!()),
      cache: (offset, length) => call(`cache ${length} at ${offset}`, async () => {}),
      extents: (offset, length) =>
        call(`extents ${length} at ${offset}`, async () => [{ length, hole: false, zero: false }]),
      ...changes,
      close: async () => {
        this.closed++;
        this.end();
      },
    };
    const incarnation = "incarnation" in options ? options.incarnation : "one";
    this.opened = { target, ended: this.ended.promise, incarnation };
  }

  /** What was asked and has no answer yet, in words. */
  get asked(): string[] {
    return this.calls.map(({ words }) => words);
  }

  /** Answers the oldest call. */
  answer(error?: Error): void {
    const call = this.calls.shift();
    if (!call) throw new Error("nothing was asked");
    call.answer(error);
  }

  /** The link is over, in order. What was asked fails. */
  end(): void {
    this.#over();
    this.ended.resolve();
  }

  /** The link is lost. */
  lose(error: Error = new Error("the cable was cut")): void {
    this.#over();
    this.ended.reject(error);
  }

  #over() {
    this.#isOver = true;
    for (const { answer } of this.calls.splice(0)) answer(new GoneError("the link is gone"));
  }
}

/** `resume` over links that the test opens. */
export function resumed(first: StandInLink, options: Partial<ResumeOptions> = {}) {
  const lines: string[] = [];
  const states: boolean[] = [];
  const asked: { end: { error: unknown } | undefined; signal: AbortSignal; link: Deferred<Opened> }[] = [];
  const disk = resume(first.opened, {
    log: (line) => lines.push(line),
    onstate: (isUp) => states.push(isUp),
    open: (end, signal) => {
      const link = deferred<Opened>();
      signal.addEventListener("abort", () => link.reject(signal.reason));
      asked.push({ end, signal, link });
      return link.promise;
    },
    ...options,
  });
  /** Gives the link that was asked for last. */
  const open = (link: StandInLink) => asked.at(-1)!.link.resolve(link.opened);
  const giveUp = (reason: Error) => asked.at(-1)!.link.reject(reason);
  return { disk, lines, states, asked, open, giveUp };
}
