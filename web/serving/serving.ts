import type { ResumeKeys } from "../../src/resuming/resume-keys.ts";
import type { ServingReport } from "./report.ts";
import type { Source } from "./source.ts";

/** What is to be served, and where. */
export interface ServingOptions {
  /** A ws:// or wss:// URL. */
  readonly endpoint: string;
  /** A file, or an image at an address whose size the page knows. */
  readonly file: Source;
  /** Subprotocols that the WebSocket asks for; see `Serving.protocols`. */
  readonly protocols: readonly string[];
  /** Bytes of the file that are kept in memory. */
  readonly cache: number;
  /** Seconds for which a link that was lost is tried to be had again. */
  readonly retry: number;
  /** Bytes of the longest message that is sent. Default: about 1 MiB. */
  readonly maxMessage?: number | undefined;
  /** Where the key is kept by which the gateway knows this server again. It stays in the page. */
  readonly resumeKeys: ResumeKeys;
  /** How many cells the map of the image has at most; 0: no map. */
  readonly cells: number;
}

/** A server that runs, in a Worker or in the page. */
export interface Serving {
  /** Whether it runs in a Worker. */
  readonly isInWorker: boolean;
  /** The last report. */
  readonly report: ServingReport;
  /** Has the next WebSockets ask for other subprotocols, as after a new login. */
  protocols(protocols: readonly string[]): void;
  /** Tries at once to have a link that was lost, as when the network or the login is back. */
  wake(): void;
  /** Ends it in order. The last report, "ended" or "failed", tells when that is done; nothing is held any more then. */
  stop(): void;
}

/** Begins to serve; `onReport` takes each report. Implemented in `start-serving.ts`. */
export type StartServing = (options: ServingOptions, onReport: (report: ServingReport) => void) => Serving;
