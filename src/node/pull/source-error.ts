import type { ForOthers } from "../../streams/for-others.ts";
import { quoted } from "../../streams/quoted.ts";
import { shownUrl } from "../../transport/shown-url.ts";

/** Characters of a URL that a message quotes. */
const MAX_SHOWN = 200;

/** A URL that is not fetched, with the reason. To try again is of no use. */
export class SourceError extends Error implements ForOthers {
  override name = "SourceError";
  /** For those who asked for the URL: it tells nothing about the networks of this machine. */
  readonly forOthers: string;

  /**
   * @param url shown without its secrets
   * @param why what is wrong with it
   * @param ours what is wrong, and what to do, for the log of this machine
   */
  constructor(url: string | URL, why: string, ours = why) {
    const what = `${quoted(shownUrl(url), MAX_SHOWN)} is not fetched`;
    super(`${what}: ${ours}`);
    this.forOthers = `${what}: ${why}`;
  }
}
