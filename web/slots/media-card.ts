import type { ConfigurationStatus } from "../../src/node/gateway/status/document.ts";
import type { FileHandle } from "../keeping/file-handle.ts";
import type { Tone } from "./overall.ts";

/** What waits on the other machine for its file. */
export interface Awaited {
  readonly name: string;
  readonly size: number;
  /** In milliseconds since 1970. */
  readonly until: number;
  readonly handle: FileHandle | undefined;
}

/** What the page needs of an `<nbd-media>`. */
export interface MediaCard extends HTMLElement {
  endpoint: string;
  label: string;
  place: string;
  protocols: readonly string[];
  remote: ConfigurationStatus | undefined;
  interrupted: Awaited | undefined;
  readonly file: File | undefined;
  readonly isRunning: boolean;
  choose(file: File, options?: { handle?: FileHandle | undefined; isFolder?: boolean }): void;
  serve(options?: { takeOver?: boolean }): void;
  stop(): void;
  /** Tries again what has failed for want of a link or a login. */
  wake(): void;
}

/** The detail of the event `nbd-state`. */
export interface CardNews {
  readonly kind: string;
  readonly tone: Tone;
  readonly headline: string;
}
