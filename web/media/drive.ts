import { sampleOf } from "../../src/export/blob-sample.ts";
import { messageOf } from "../../src/streams/message-of.ts";
import { TAKEN_OVER } from "../../src/transport/close-codes.ts";
import { type FileHandle, fileOf } from "../keeping/file-handle.ts";
import type { Refusal } from "../login/refusal.ts";
import type { BlockMap, ServingReport } from "../serving/report.ts";
import type { Serving, ServingOptions, StartServing } from "../serving/serving.ts";
import { isWebFile, type Source, webFileAt } from "../serving/source.ts";
import { type LookAt, type UrlFault, urlFaultOf } from "./look-at.ts";
import type { Awaited } from "./situation.ts";
import { Trial } from "./trial.ts";

/** Cells of the map. */
export const CELLS = 2048;

/** Milliseconds between two plain requests that ask why a link cannot be had. */
const ASKING = 5000;

/** Milliseconds between two notes that the link is there: there are no reports while nobody reads. */
const NOTING = 5000;

/** Milliseconds between two attempts to read a file, and to have an image at an address. */
const FILE_PAUSE = 1000;
const URL_PAUSE = 5000;

/** What the browser keeps of a session, so that a page that is loaded again can go on with it. */
export interface KeptPlace extends Pick<ServingOptions["resumeKeys"], "get" | "set"> {
  /** The link is there; `isLast`: the page is being left. */
  note(isLast?: boolean): void;
  /** Nothing is served any more. */
  end(): void;
}

/** What a drive asks of where it is. */
export interface DriveSurroundings {
  /** A ws:// or wss:// URL. */
  readonly endpoint: string;
  readonly protocols: readonly string[];
  /** Bytes. */
  readonly cache: number;
  /** Seconds. */
  readonly retry: number;
  /** Bytes. */
  readonly maxMessage?: number | undefined;
  readonly startServing: StartServing;
  readonly lookAt: LookAt;
  keep(file: Source, handle: FileHandle | undefined): KeptPlace;
  /** Asks by a plain request why there is no WebSocket; undefined: it cannot be asked. */
  explain(endpoint: string): Promise<Refusal | undefined>;
  /** A server is about to begin. `isResumable`: it may go on with the session that is there. */
  onbegin(isResumable: boolean): void;
  /** Something is different. */
  onchange(): void;
  onreport(report: ServingReport): void;
  /** Lines that are the drive's own. */
  onnote(note: Note): void;
  onlogin(): void;
}

export type Note =
  | { readonly kind: "chosen"; readonly file: Source }
  | { readonly kind: "cannot-read"; readonly file: Pick<Source, "name">; readonly why: string }
  | { readonly kind: "plain-request"; readonly why: string };

/** What was chosen, and what is known of it. */
export interface Chosen {
  readonly file: Source;
  readonly handle: FileHandle | undefined;
  readonly isFolder: boolean;
  /** How the last look at it has ended. */
  readonly look: "none" | "slow" | "read" | { readonly fault: string } | UrlFault;
}

/** The last server, which may have ended. */
export interface Run {
  readonly serving: Serving;
  /** Where it serves, whatever has become of the card's endpoint. */
  readonly endpoint: string;
  readonly file: Source;
  readonly kept: KeptPlace;
  report: ServingReport | undefined;
  map: BlockMap | undefined;
  /** Whether this page has asked for the end, and whether the link was lost then. */
  stop: "none" | "asked" | "asked-while-lost";
  /** What a plain request was answered since the link was lost, or could not be had. */
  refusal: Refusal | undefined;
  /** Whether it is asked for the reason of the end. */
  isAsking: boolean;
  /** How long the last link was away, once it is back, in milliseconds. */
  gap: number | undefined;
  hasRead: boolean;
  /** Since when the other machine has the disk, in milliseconds since 1970. */
  servedSince: number | undefined;
  /** Why the file cannot be read, since it cannot. */
  fault: string;
}

/** The file of a card, and the server that serves it: one at a time. It knows nothing of how a card looks. */
export class Drive {
  readonly #at: DriveSurroundings;
  #chosen: Chosen | undefined;
  #run: Run | undefined;
  #fault: string | undefined;
  #awaited: (Awaited & { readonly handle: FileHandle | undefined }) | undefined;
  #trial: { end(): void } | undefined;
  #forgetting: ReturnType<typeof setTimeout> | undefined;
  #asking: ReturnType<typeof setTimeout> | undefined;
  #noting: ReturnType<typeof setInterval> | undefined;
  /** Serves again what was refused for want of a login. */
  #again: (() => void) | undefined;
  /** Whether it is where nobody would see or end what it serves. */
  #isOver = false;

  constructor(at: DriveSurroundings) {
    this.#at = at;
  }

  get chosen(): Chosen | undefined {
    return this.#chosen;
  }

  get run(): Run | undefined {
    return this.#run;
  }

  /** Why nothing could even begin to serve; undefined: it could. */
  get fault(): string | undefined {
    return this.#fault;
  }

  get isRunning(): boolean {
    const state = this.#run?.report?.state;
    return this.#run !== undefined && state !== "ended" && state !== "failed";
  }

  /**
   * Whether what was chosen may be served. A file that is fast need not wait: a server looks at it before it connects. Of an
   * address the size has to be known.
   */
  get isServable(): boolean {
    if (!this.#chosen || this.#chosen.isFolder) return false;
    const { file, look } = this.#chosen;
    return isWebFile(file) ? look === "read" : typeof look === "string";
  }

  /** What waits on the other machine for its file. It is forgotten when that is over. */
  get awaited(): (Awaited & { readonly handle: FileHandle | undefined }) | undefined {
    return this.#awaited;
  }

  set awaited(awaited) {
    this.#awaited = awaited;
    this.#forgetInTime();
    this.#at.onchange();
  }

  #forgetInTime(): void {
    clearTimeout(this.#forgetting);
    if (!this.#awaited || this.#isOver) return;
    const left = Math.min(this.#awaited.until - Date.now(), 2 ** 31 - 1);
    this.#forgetting = setTimeout(() => {
      this.#awaited = undefined;
      this.#at.onchange();
    }, left);
  }

  /** Takes a file as the one to serve. That which is waited for is served at once. While one is served nothing is chosen. */
  choose(
    file: Source,
    { handle, isFolder = false }: { handle?: FileHandle | undefined; isFolder?: boolean },
  ) {
    if (this.isRunning) return;
    this.#trial?.end();
    this.#trial = undefined;
    this.#again = undefined;
    this.#run = undefined;
    this.#fault = undefined;
    this.#chosen = { file, handle, isFolder, look: isWebFile(file) ? "slow" : "none" };
    if (!isWebFile(file)) this.#at.onnote({ kind: "chosen", file });
    if (!isFolder) this.#tryToRead();
    this.#at.onchange();
    if (!isFolder) this.#serveAwaited();
  }

  /** Serves what is waited for. That it is another file only the gateway can tell for sure. */
  #serveAwaited(): void {
    const { name, size } = this.#awaited ?? {};
    if (this.#chosen?.file.name === name && this.#chosen?.file.size === size) this.serve();
  }

  serve({ takeOver = false }: { takeOver?: boolean } = {}): void {
    if (this.#isOver || this.isRunning || !this.#chosen || !this.isServable) return;
    this.#trial?.end();
    this.#again = undefined;
    this.#run = undefined;
    this.#fault = undefined;
    try {
      this.#begin(this.#chosen, takeOver);
    } catch (error) {
      // A setting makes no sense.
      this.#fault = messageOf(error);
      this.#at.onchange();
    }
  }

  #begin({ file, handle }: Chosen, takeOver: boolean): void {
    const { endpoint, cache, retry, maxMessage, startServing } = this.#at;
    const protocols = this.#protocols(takeOver);
    this.#at.onbegin(!takeOver && this.#awaited !== undefined);
    const kept = this.#at.keep(file, handle);
    let run: Run | undefined;
    let early: ServingReport | undefined;
    const options = { endpoint, file, protocols, cache, retry, maxMessage, resumeKeys: kept, cells: CELLS };
    const onReport = (report: ServingReport) => {
      if (run) this.#take(run, report, takeOver);
      else early = report;
    };
    try {
      run = newRun(startServing(options, onReport), endpoint, file, kept);
    } catch (error) {
      kept.end();
      throw error;
    }
    this.#run = run;
    if (early) this.#take(run, early, takeOver);
    else this.#at.onchange();
  }

  stop(): void {
    const run = this.#run;
    if (!run || !this.isRunning) return;
    if (run.stop === "none") run.stop = run.report?.state === "reconnecting" ? "asked-while-lost" : "asked";
    run.serving.stop();
    this.#at.onchange();
  }

  /** Chooses the file that is waited for, which serves it. A person may be asked, which takes a click. */
  async goOn(): Promise<void> {
    const { handle, url } = this.#awaited ?? {};
    // It is served once it was looked at.
    if (url !== undefined) return this.choose(webFileAt(url), {});
    if (!handle || this.isRunning) return;
    try {
      const file = await fileOf(handle);
      // A person may have taken long to answer.
      if (this.#isOver || this.isRunning) return;
      this.choose(file, { handle });
      this.serve();
    } catch (error) {
      const { name } = this.#awaited ?? { name: "" };
      this.#at.onnote({ kind: "cannot-read", file: { name }, why: messageOf(error) });
      // Without its handle: it has to be chosen.
      if (this.#awaited) this.awaited = { ...this.#awaited, handle: undefined };
    }
  }

  /** Tries again what has failed for want of a link or a login, as when one of them is back. */
  wake(): void {
    if (this.isRunning) {
      this.#run!.serving.protocols(this.#protocols(false));
      this.#run!.serving.wake();
    } else this.#again?.();
  }

  /** The page is being left. */
  note(): void {
    if (this.#run?.report?.state === "serving") this.#run.kept.note(true);
  }

  /** Ends all that it has begun. Until `begin()` it serves nothing, whatever was asked for before, or is asked for. */
  end(): void {
    this.#isOver = true;
    this.#trial?.end();
    clearTimeout(this.#forgetting);
    clearTimeout(this.#asking);
    this.#endNoting();
    this.stop();
  }

  /** May serve again after `end()`. */
  begin(): void {
    if (!this.#isOver) return;
    this.#isOver = false;
    this.#forgetInTime();
    if (this.#chosen && !this.#chosen.isFolder && this.#chosen.look !== "read") this.#tryToRead();
  }

  #protocols(takeOver: boolean): string[] {
    const asked = [...this.#at.protocols];
    if (!takeOver) return asked;
    // A browser hangs up where none of those that it asks for is chosen.
    return [...(asked.length > 0 ? asked : ["nbd"]), "take-over"];
  }

  #take(run: Run, report: ServingReport, takeOver: boolean): void {
    const before = run.report;
    run.report = report;
    run.map = report.map ?? run.map;
    const { state } = report;
    if (run === this.#run) {
      // The line that came with it, and with nothing later.
      if (state === "unreadable" && before?.state !== state) run.fault = report.lines.at(-1)?.text ?? "";
      if (state !== "serving") this.#endNoting();
      if (state === "reconnecting") this.#askWhileLost(run);
      else if (state === "serving") this.#served(run, report, before);
      else if ((state === "ended" || state === "failed") && before?.state !== state) {
        this.#ended(run, report, takeOver);
      }
    }
    this.#at.onreport(report);
    this.#at.onchange();
  }

  #endNoting(): void {
    clearInterval(this.#noting);
    this.#noting = undefined;
  }

  #served(run: Run, report: ServingReport, before: ServingReport | undefined): void {
    run.kept.note();
    this.#noting ??= setInterval(() => run.kept.note(), NOTING);
    run.servedSince ??= report.since;
    if (before?.state !== "serving") {
      run.refusal = undefined;
      this.#awaited = undefined;
      clearTimeout(this.#forgetting);
      run.gap = report.lost && Math.max(0, report.since - report.lost.at);
    }
    run.hasRead ||= report.lastReadAt !== undefined;
  }

  #ended(run: Run, report: ServingReport, takeOver: boolean): void {
    clearTimeout(this.#asking);
    this.#asking = undefined;
    const { failure, wasOpen } = report;
    void this.#giveBack(run, report);
    if (run.stop !== "none") return;
    if (report.state === "failed" && failure?.code === undefined && !wasOpen) {
      // Perhaps it is the file.
      this.#tryToRead();
    }
    if (report.state === "ended" || failure?.code === undefined || !wasOpen) {
      void this.#ask(run, () => this.serve({ takeOver }));
    }
  }

  /** Gives back what is kept for a page that goes on. There is nothing to go on with if somebody else has the disk. */
  async #giveBack({ kept }: Run, { failure }: ServingReport): Promise<void> {
    if (failure?.code === TAKEN_OVER) await kept.set(undefined);
    kept.end();
  }

  #askWhileLost(run: Run): void {
    if (this.#asking !== undefined) return;
    const next = () => {
      this.#asking = undefined;
      if (run === this.#run && run.report?.state === "reconnecting") this.#askWhileLost(run);
    };
    void this.#ask(run, undefined);
    this.#asking = setTimeout(next, ASKING);
  }

  async #ask(run: Run, again: (() => void) | undefined): Promise<void> {
    if (run.isAsking) return;
    const state = run.report?.state;
    run.isAsking = true;
    const refusal = await this.#at.explain(run.endpoint).catch(() => undefined);
    run.isAsking = false;
    // Something else may have begun meanwhile.
    if (run !== this.#run || run.report?.state !== state || !refusal) return;
    // That a plain request is answered is said of what could not be had, and not of what was there.
    const isNews = !run.report?.wasOpen || !refusal.isAnswered || refusal.wantsLogin;
    if (isNews && refusal.words !== run.refusal?.words) {
      this.#at.onnote({ kind: "plain-request", why: refusal.words });
    }
    run.refusal = refusal;
    if (refusal.wantsLogin) {
      this.#again = again;
      this.#at.onlogin();
    }
    this.#at.onchange();
  }

  #tryToRead(): void {
    const chosen = this.#chosen;
    if (!chosen || this.#isOver) return;
    this.#trial?.end();
    const { file } = chosen;
    let wasTold = false;
    const become = (look: Chosen["look"]) => {
      if (this.#chosen?.file !== file) return;
      this.#chosen = { ...chosen, look };
      this.#at.onchange();
    };
    const failed = (look: UrlFault | { readonly fault: string }) => {
      if (!wasTold) this.#at.onnote({ kind: "cannot-read", file, why: look.fault });
      wasTold = true;
      // It was the file that a server has failed for.
      if (!this.isRunning) this.#run = undefined;
      become(look);
    };
    this.#trial = isWebFile(file)
      ? new Trial({
          attempt: (signal) => this.#at.lookAt(file.url, signal),
          pauseAfter: (error) => (urlFaultOf(error).mayPass ? URL_PAUSE : undefined),
          onslow: () => {},
          onfault: (error) => failed(urlFaultOf(error)),
          onread: (size) => this.#looked(chosen, { ...file, size }),
        })
      : new Trial({
          attempt: () => sampleOf(file)?.look(),
          pauseAfter: () => FILE_PAUSE,
          onslow: () => become("slow"),
          onfault: (error) => failed({ fault: messageOf(error) }),
          onread: () => become("read"),
        });
  }

  /** Takes what is at an address now. What is waited for is served, unless a server has just failed for it. */
  #looked(before: Chosen, file: Source): void {
    if (this.#chosen?.file !== before.file) return;
    this.#chosen = { ...before, file, look: "read" };
    if (file.size !== before.file.size) this.#at.onnote({ kind: "chosen", file });
    this.#at.onchange();
    if (before.look === "slow") this.#serveAwaited();
  }
}

function newRun(serving: Serving, endpoint: string, file: Source, kept: KeptPlace): Run {
  return {
    ...{ serving, endpoint, file, kept, report: undefined, map: undefined },
    ...{ stop: "none", refusal: undefined, isAsking: false },
    ...{ gap: undefined, hasRead: false, servedSince: undefined, fault: "" },
  };
}
