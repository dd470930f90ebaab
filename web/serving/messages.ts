import type { ServingReport } from "./report.ts";
import type { ServingOptions } from "./serving.ts";

/** The name of our Worker, by which its script knows that it is to serve. */
export const WORKER_NAME = "nbd-media";

/** What a server needs that a message can carry. */
export type StartOptions = Omit<ServingOptions, "resumeKeys">;

/** What the page says to the Worker. */
export type ToWorker =
  | { readonly kind: "start"; readonly options: StartOptions; readonly key: string | undefined }
  | { readonly kind: "protocols"; readonly protocols: readonly string[] }
  | { readonly kind: "wake" | "stop" | "ping" };

/** What is to be kept of a session, in the page; see `ResumeKeys.set`. */
export interface KeptKey {
  readonly key: string | undefined;
  readonly wait: number | undefined;
}

/** The only thing that the Worker says. All it has to say comes with a report, so that there are no more messages than reports. */
export interface FromWorker {
  readonly report: ServingReport;
  /** If the key has changed since the last message. */
  readonly kept: KeptKey | undefined;
}

/** The memory that moves with a message, and is not copied. */
export function transferred({ report: { map } }: FromWorker): ArrayBufferLike[] {
  return map ? [map.reads.buffer, map.writes.buffer, map.cached.buffer] : [];
}
