import { sampleOf } from "../../src/export/blob-sample.ts";
import { type Clock, computerClock } from "../../src/resuming/clock.ts";
import { onWake } from "../../src/resuming/wakes.ts";
import { callBack } from "../../src/streams/call-back.ts";
import { messageOf } from "../../src/streams/message-of.ts";
import { unlessAborted } from "../../src/streams/unless-aborted.ts";
import type { Engine } from "./engine.ts";
import type { startInPage } from "./in-page.ts";
import { InWorker } from "./in-worker.ts";
import type { LogLine, ServingReport } from "./report.ts";
import type { Serving, ServingOptions, StartServing } from "./serving.ts";
import { isWebFile } from "./source.ts";

/** The script of the engine lies beside the one that this becomes a part of. */
const SCRIPT = "./serving-worker.js";

/** What a page says of a Worker that has died. */
const DEAD = "the Worker that served has ended without a word: serve again";

const STOPPED = "it was stopped before it had begun";

/**
 * Serves in a Worker, so that a busy page slows no disk; where none can be made, or its script cannot be loaded as one, in the page.
 */
export const startServing: StartServing = (options, onReport) =>
  startServingBy(scriptUrl(), options, onReport);

function scriptUrl(): string {
  return new URL(SCRIPT, import.meta.url).href;
}

/** `startServing` with the script at some URL, and by some clock. */
export function startServingBy(
  script: string,
  options: ServingOptions,
  onReport: (report: ServingReport) => void,
  clock: Pick<Clock, "after"> = computerClock(),
): Serving {
  return new Started(script, options, onReport, clock);
}

class Started implements Serving {
  readonly #script: string;
  readonly #clock: Pick<Clock, "after">;
  readonly #options: ServingOptions;
  readonly #onReport: (report: ServingReport) => void;
  readonly #stopping = new AbortController();
  readonly #unwatch: () => void;
  #protocols: readonly string[];
  #engine: Engine | undefined;
  #isInWorker = true;
  /** Whether the last report was told. */
  #isOver = false;
  #report: ServingReport = { ...NOTHING, since: Date.now() };

  constructor(
    script: string,
    options: ServingOptions,
    onReport: (report: ServingReport) => void,
    clock: Pick<Clock, "after">,
  ) {
    this.#script = script;
    this.#clock = clock;
    this.#options = options;
    this.#onReport = onReport;
    this.#protocols = options.protocols;
    // A Worker has no window, whose events these are.
    this.#unwatch = onWake(() => this.wake());
    this.#begin().catch(this.#fail);
  }

  get isInWorker(): boolean {
    return this.#isInWorker;
  }

  get report(): ServingReport {
    return this.#report;
  }

  protocols(protocols: readonly string[]): void {
    this.#protocols = protocols;
    this.#engine?.protocols(protocols);
  }

  wake(): void {
    this.#engine?.wake();
  }

  stop(): void {
    this.#stopping.abort();
    this.#engine?.stop();
  }

  /** Only the page knows what the file was when it was chosen: a Worker meets it anew, and would take another one for it. */
  async #begin(): Promise<void> {
    const { file, resumeKeys } = this.#options;
    const { signal } = this.#stopping;
    let key: string | undefined;
    try {
      const look = isWebFile(file) ? undefined : sampleOf(file)?.look();
      [key] = await unlessAborted(Promise.all([resumeKeys.get(), look]), signal);
    } catch (error) {
      if (signal.aborted) return this.#end("ended", STOPPED);
      throw error;
    }
    try {
      this.#engine = new InWorker(this.#current(), {
        script: this.#script,
        key,
        clock: this.#clock,
        onReport: (report) => this.#tell(report),
        onUnusable: () => void this.#goOnInPage().catch(this.#fail),
        onDead: () => this.#end("failed", DEAD),
      });
    } catch {
      await this.#goOnInPage();
    }
  }

  async #goOnInPage(): Promise<void> {
    this.#isInWorker = false;
    this.#engine = undefined;
    const { signal } = this.#stopping;
    if (signal.aborted) return this.#end("ended", STOPPED);
    const starting = this.#startInPage();
    try {
      // What it loads may never come.
      this.#engine = await unlessAborted(starting, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      this.#end("ended", STOPPED);
      return void starting.then((late) => late?.stop()).catch(() => {});
    }
    this.#engine?.protocols(this.#protocols);
  }

  async #startInPage(): Promise<Engine | undefined> {
    const module = (await import(this.#script)) as { startInPage: typeof startInPage };
    const { signal } = this.#stopping;
    if (signal.aborted) return undefined;
    return module.startInPage(this.#current(), (report) => this.#tell(report));
  }

  readonly #fail = (error: unknown) => this.#end("failed", messageOf(error));

  #current(): ServingOptions {
    const { endpoint, file, cache, retry, maxMessage, resumeKeys, cells } = this.#options;
    return { endpoint, file, protocols: [...this.#protocols], cache, retry, maxMessage, resumeKeys, cells };
  }

  /** Ends it where no engine does. */
  #end(state: "ended" | "failed", words: string) {
    const at = Date.now();
    const line: LogLine = { at, level: state === "failed" ? "error" : "info", text: words };
    const failure = state === "failed" ? { words } : undefined;
    const { totals, lost, state: before } = this.#report;
    this.#tell({
      ...this.#report,
      state,
      since: at,
      failure,
      // A link that had come back is not what it ended for.
      lost: before === "reconnecting" ? lost : undefined,
      totals: { ...totals, outstanding: 0 },
      samples: [],
      lines: [line],
      map: undefined,
    });
  }

  #tell(report: ServingReport) {
    if (this.#isOver) return;
    this.#isOver = report.state === "ended" || report.state === "failed";
    if (this.#isOver) this.#unwatch();
    this.#report = report;
    callBack(() => this.#onReport(report));
  }
}

/** What there is to report before anything has begun. */
const NOTHING: Omit<ServingReport, "since"> = {
  state: "connecting",
  failure: undefined,
  wasOpen: false,
  lost: undefined,
  lastReadAt: undefined,
  totals: {
    reads: 0,
    bytesRead: 0,
    writes: 0,
    bytesWritten: 0,
    errors: 0,
    outstanding: 0,
    hits: 0,
    misses: 0,
    bytesCovered: 0,
  },
  samples: [],
  lines: [],
  map: undefined,
};
