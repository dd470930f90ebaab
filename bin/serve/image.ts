import type { Export } from "../../src/export/export.ts";
import type { ResumeState } from "../../src/node/resuming/resume-state.ts";
import type { Identity } from "../../src/resuming/serve-again.ts";

/** What is served, open: a file, a block device, or a file on a web server. */
export interface Image {
  /** The name of the export. */
  readonly name: string;
  /** What is read and written. */
  readonly target: Export;
  /** The same past all caches, for who looks whether it is still the same. */
  readonly medium: Pick<Export, "size" | "read">;
  /** Prepares it for links of which one may be lost. */
  resuming(state: ResumeState): Promise<ResumingImage>;
  /** Sees that what was written is safe, and closes it. */
  close(): Promise<void>;
}

/** An image that is served over one link after another. */
export interface ResumingImage {
  readonly target: Export;
  /** What a gateway is told of it, as it is now. */
  identity(): Promise<Identity>;
  /** A session has begun: what changes from now on is its own. */
  begin(): Promise<void>;
  end(): Promise<void>;
}
