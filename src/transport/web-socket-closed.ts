import { deadline } from "../streams/deadline.ts";
import { CLOSED, type WebSocketLike } from "./websocket.ts";

/** Milliseconds that a WebSocket has to close. */
const CLOSING_TIME = 1000;

/** Resolves when a WebSocket that closes has said goodbye, or has had the time for it. Then the place behind it is free. */
export function webSocketClosed(
  socket: Pick<WebSocketLike, "readyState" | "addEventListener"> | undefined,
): Promise<void> {
  return new Promise((resolve) => {
    if (!socket || socket.readyState === CLOSED) return resolve();
    const callOff = deadline(CLOSING_TIME, resolve);
    const onClose = () => {
      callOff();
      resolve();
    };
    socket.addEventListener("close" as never, onClose as never);
  });
}
