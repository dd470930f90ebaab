import { oneLine } from "../src/nbd/one-line.ts";
import { IN_USE, TAKEN_OVER } from "../src/transport/close-codes.ts";
import { WebSocketError } from "../src/transport/websocket.ts";

/** What was told with the end of a WebSocket, if that is more than a failure: somebody else has, or gets, the place. */
export function closedAs(error: unknown): { state: "busy" | "taken"; text: string } | undefined {
  if (!(error instanceof WebSocketError)) return undefined;
  const reason = oneLine(error.reason ?? "");
  const text = reason.charAt(0).toUpperCase() + reason.slice(1);
  if (error.code === TAKEN_OVER) return { state: "taken", text: text || "Taken over" };
  return error.code === IN_USE ? { state: "busy", text: text || "In use" } : undefined;
}
