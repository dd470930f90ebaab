import type { ForOthers } from "../../streams/for-others.ts";

/** Close code of a WebSocket: try again later (registered with IANA). */
const TRY_AGAIN = 1013;

/** The session that a link was to go on with has just ended. Another attempt begins a new one. */
export class SessionOverError extends Error implements ForOthers {
  override name = "SessionOverError";
  readonly closeCode = TRY_AGAIN;

  constructor() {
    super("the session has just ended; another attempt begins a new one");
  }

  get forOthers(): string {
    return this.message;
  }
}
