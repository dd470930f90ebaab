import type { Engine } from "./engine.ts";
import { type FromWorker, type ToWorker, WORKER_NAME } from "./messages.ts";
import type { ServingReport } from "./report.ts";
import type { ServingOptions } from "./serving.ts";
import { type WorkerWatch, watchWorker } from "./watch-worker.ts";

export interface InWorkerEvents {
  onReport(report: ServingReport): void;
  /** Called once instead of any report: there is no Worker here, or it was stopped before there was one. */
  onUnusable(): void;
  /** Called once instead of a last report: it does not answer any more. */
  onDead(): void;
}

/** Serves in a Worker. */
export class InWorker implements Engine {
  readonly #worker: Worker;
  readonly #events: InWorkerEvents;
  readonly #watch: WorkerWatch;
  readonly #resumeKeys: ServingOptions["resumeKeys"];
  #hasReported = false;

  /**
   * @param script the URL of the Worker's script, a module
   * @param key what is kept of the session
   * @throws Error where no Worker can be made
   */
  constructor(
    script: string,
    { resumeKeys, ...options }: ServingOptions,
    key: string | undefined,
    events: InWorkerEvents,
  ) {
    this.#events = events;
    this.#resumeKeys = resumeKeys;
    this.#worker = new Worker(script, { type: "module", name: WORKER_NAME });
    this.#worker.onmessage = ({ data }) => this.#take(data as FromWorker);
    // Once it serves, an error is one of its own, and it goes on.
    this.#worker.onerror = () => {
      if (!this.#hasReported) this.#dead();
    };
    this.#watch = watchWorker(
      () => this.#say({ kind: "ping" }),
      () => this.#dead(),
    );
    try {
      this.#say({ kind: "start", options, key });
    } catch (error) {
      this.end();
      throw error;
    }
  }

  protocols(protocols: readonly string[]): void {
    this.#say({ kind: "protocols", protocols });
  }

  wake(): void {
    this.#say({ kind: "wake" });
  }

  stop(): void {
    if (this.#hasReported) this.#say({ kind: "stop" });
    // Its script may never come.
    else this.#dead();
  }

  /** Ends it by force. */
  end(): void {
    this.#watch.end();
    this.#worker.terminate();
    this.#worker.onmessage = null;
    this.#worker.onerror = null;
  }

  #say(message: ToWorker) {
    this.#worker.postMessage(message);
  }

  #take({ report, kept }: FromWorker) {
    this.#hasReported = true;
    this.#watch.heard();
    if (kept) void this.#resumeKeys.set(kept.key, kept.wait);
    if (report.state === "ended" || report.state === "failed") this.end();
    this.#events.onReport(report);
  }

  #dead() {
    this.end();
    if (this.#hasReported) this.#events.onDead();
    else this.#events.onUnusable();
  }
}
