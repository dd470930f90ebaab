import { oneLine } from "../src/nbd/one-line.ts";
import { WebSocketError } from "../src/transport/websocket.ts";

/** The gateway's close code for a session that gave way to another one. */
const TAKEN_OVER = 4001;

/** How the gateway's words begin when another session has the place: now, or so recently that it cannot be taken over again yet. */
const BUSY = /^(in use since|this configuration is in use|this configuration was taken over) /;

/** What was told with the end of a WebSocket, if that is more than a failure: somebody else has, or gets, the place. */
export function closedAs(error: unknown): { state: "busy" | "taken"; text: string } | undefined {
  if (!(error instanceof WebSocketError)) return undefined;
  const reason = oneLine(error.reason ?? "");
  const text = reason.charAt(0).toUpperCase() + reason.slice(1);
  if (error.code === TAKEN_OVER) return { state: "taken", text: text || "Taken over" };
  return BUSY.test(reason) ? { state: "busy", text } : undefined;
}
