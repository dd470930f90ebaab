import type { Clock } from "../../src/resuming/clock.ts";
import type { Engine } from "./engine.ts";
import { type FromWorker, type ToWorker, WORKER_NAME } from "./messages.ts";
import type { ServingReport } from "./report.ts";
import type { ServingOptions } from "./serving.ts";
import { WorkerWatch } from "./watch-worker.ts";

export interface InWorkerOptions {
  /** The URL of the Worker's script, a module. */
  script: string;
  /** What is kept of the session. */
  key: string | undefined;
  clock: Pick<Clock, "after">;
  onReport(report: ServingReport): void;
  /** Called once instead of any report: there is no Worker here, or it was stopped before there was one. */
  onUnusable(): void;
  /** Called once instead of a last report: it does not answer any more. */
  onDead(): void;
}

/** Serves in a Worker. */
export class InWorker implements Engine {
  readonly #worker: Worker;
  readonly #own: InWorkerOptions;
  readonly #watch: WorkerWatch;
  readonly #resumeKeys: ServingOptions["resumeKeys"];
  #hasReported = false;

  /** @throws Error where no Worker can be made */
  constructor({ resumeKeys, ...options }: ServingOptions, own: InWorkerOptions) {
    const { script, key, clock } = own;
    this.#own = own;
    this.#resumeKeys = resumeKeys;
    this.#worker = new Worker(script, { type: "module", name: WORKER_NAME });
    this.#worker.onmessage = ({ data }) => this.#take(data as FromWorker);
    // Once it serves, an error is one of its own, and it goes on.
    this.#worker.onerror = () => {
      if (!this.#hasReported) this.#dead();
    };
    this.#watch = new WorkerWatch({
      clock,
      ask: () => this.#say({ kind: "ping" }),
      onDead: () => this.#dead(),
    });
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
    this.#own.onReport(report);
  }

  #dead() {
    this.end();
    if (this.#hasReported) this.#own.onDead();
    else this.#own.onUnusable();
  }
}
