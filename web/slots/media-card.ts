import type { ConfigurationStatus } from "../../src/node/gateway/status/document.ts";
import type { FileHandle } from "../keeping/file-handle.ts";
import type { Awaited } from "../media/situation.ts";

/** What the page needs of an `<nbd-media>`. */
export interface MediaCard extends HTMLElement {
  endpoint: string;
  label: string;
  place: string;
  protocols: readonly string[];
  remote: ConfigurationStatus | undefined;
  interrupted: (Awaited & { readonly handle: FileHandle | undefined }) | undefined;
  readonly file: File | undefined;
  readonly isRunning: boolean;
  choose(file: File, options?: { handle?: FileHandle | undefined; isFolder?: boolean }): void;
  serve(options?: { takeOver?: boolean }): void;
  stop(): void;
  /** Tries again what has failed for want of a link or a login. */
  wake(): void;
}
