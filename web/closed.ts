import { oneLine } from "../src/nbd/one-line.ts";
import { ANOTHER_MEDIUM, IN_USE, TAKEN_OVER } from "../src/transport/close-codes.ts";
import { WebSocketError } from "../src/transport/websocket.ts";

/** An end of which there is more to say. */
export interface Closed {
  state: "busy" | "taken" | "other";
  text: string;
}

/** What was told with the end of a WebSocket, if that is more than a failure: somebody else has, or gets, the place, or it waits for another file. */
export function closedAs(error: unknown): Closed | undefined {
  if (!(error instanceof WebSocketError)) return undefined;
  const reason = oneLine(error.reason ?? "");
  const text = reason.charAt(0).toUpperCase() + reason.slice(1);
  if (error.code === ANOTHER_MEDIUM) return { state: "other", text: text || "This is another disk" };
  if (error.code === TAKEN_OVER) return { state: "taken", text: text || "Taken over" };
  return error.code === IN_USE ? { state: "busy", text: text || "In use" } : undefined;
}
