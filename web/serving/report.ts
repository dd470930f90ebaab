import type { NBDServerState } from "../../src/NBDServer.ts";

/** How much something in the log matters. */
export type Level = "info" | "warning" | "error";

/** A line of the event log. */
export interface LogLine {
  /** In milliseconds since 1970. */
  readonly at: number;
  readonly level: Level;
  /** For people, in English: what the library says. */
  readonly text: string;
}

/**
 * What happened in one second. Of seconds without any request only the first and the last are told, so that a line from one
 * sample to the next is right.
 */
export interface RateSample {
  /** When the second ended, in milliseconds since 1970. */
  readonly at: number;
  /** Bytes that were read and written. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Requests that were answered. */
  readonly requests: number;
  /** The mean time that these took, in milliseconds; undefined if there were none. */
  readonly latency: number | undefined;
}

/** The image as a row of equal cells, in the order of its bytes. */
export interface BlockMap {
  /** Bytes of a cell, a power of two; the last one may be shorter. */
  readonly cellSize: number;
  /** How often the bytes of each cell were read, on average, as `readLevel` has it: 0 never, 255 more often than can be told. */
  readonly reads: Uint8Array;
  /** How much of each cell was written, trimmed or made zeroes: 0 none, 255 all. */
  readonly writes: Uint8Array;
  /** How much of each cell lies in the cache: 0 none, 255 all. */
  readonly cached: Uint8Array;
}

/** What was counted since the server began, lost links included. */
export interface Totals {
  readonly reads: number;
  readonly bytesRead: number;
  readonly writes: number;
  readonly bytesWritten: number;
  /** Requests that have failed. */
  readonly errors: number;
  /** Requests that are not answered yet. */
  readonly outstanding: number;
  /** Reads whose bytes were in the cache, or on their way there, when they came; and the others. */
  readonly hits: number;
  readonly misses: number;
  /** Bytes of the image that were read at least once, rounded up to blocks. */
  readonly bytesCovered: number;
}

/** Why a server has failed. */
export interface Failure {
  /** For people, in English. */
  readonly words: string;
  /** The close code and the reason of the other side, if it was the other side that ended the WebSocket. */
  readonly code?: number | undefined;
  readonly reason?: string | undefined;
}

/** What a server tells the page: at most four times a second, at once when its state changes after a quiet moment. Plain data. */
export interface ServingReport {
  readonly state: NBDServerState;
  /** When this state began, in milliseconds since 1970. */
  readonly since: number;
  readonly failure: Failure | undefined;
  /** Whether a WebSocket was ever open. */
  readonly wasOpen: boolean;
  /** If the link is lost, or was until this state began: when, and when it is given up, in milliseconds since 1970. */
  readonly lost: { readonly at: number; readonly until: number } | undefined;
  /** When a read has last succeeded, in milliseconds since 1970. */
  readonly lastReadAt: number | undefined;
  readonly totals: Totals;
  /** Seconds that have ended since the last report, the oldest first; bounded. */
  readonly samples: readonly RateSample[];
  /** Lines since the last report, the oldest first; bounded. */
  readonly lines: readonly LogLine[];
  /** Only if it has changed, and not more than once a second; the last report may have it sooner. */
  readonly map: BlockMap | undefined;
}
