import { LOST } from "../transport/close-codes.ts";

/** What an error may have that tells why a link could not be had, or has ended. The classes differ between scripts. */
interface Told {
  name?: unknown;
  /** The close code of a WebSocket. */
  code?: unknown;
  /** The status of an answer of HTTP. */
  status?: unknown;
}

/** Statuses between 400 and 499 that another attempt may mend: no login, too slow, too early, too often. */
const AGAIN = new Set([401, 408, 425, 429]);

/** Errors of a link, in contrast to those of who uses it. */
const OF_A_LINK = new Set(["WebSocketError", "UnexpectedEndError"]);

/** Whether the other side may be had again after it closed the WebSocket with this code; undefined: no code came. */
export function isLostWith(code: number | undefined): boolean {
  return code === undefined || LOST.has(code);
}

/** Whether an error is of such a kind that another attempt makes no sense: a refusal, or a fault of this side. */
export function isFinal(error: unknown): boolean {
  const { name, code, status } = (error ?? {}) as Told;
  if (typeof status === "number") return status >= 400 && status < 500 && !AGAIN.has(status);
  if (typeof code === "number") return !LOST.has(code);
  return !OF_A_LINK.has(String(name));
}
