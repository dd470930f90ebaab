import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { nextTask } from "../../streams/next-task.ts";

/** Intervals without a sign of life after a ping, at whose end the other side counts as dead. */
const PATIENCE = 2;

/**
 * Pings the other side of a WebSocket while nothing moves in either direction, and tells when it stays silent: a
 * computer that goes to sleep closes nothing. Ends with the socket.
 *
 * Any byte is a sign of life, as a pong cannot overtake the rest of a long message. While the socket is paused
 * nothing is heard, which says nothing of the other side.
 *
 * @param socket what the WebSocket runs on
 * @param interval milliseconds
 */
export function heartbeat(
  client: Pick<WebSocket, "ping">,
  socket: Socket,
  interval: number,
  onSilence: () => void,
): void {
  let silent = 0;
  let heard = -1;
  // Node's own timer of a socket starts anew with all that is read or written, each part of a long write included.
  socket.setTimeout(interval);
  // What came while this process was stopped is read first.
  socket.on("timeout", () => nextTask(look));

  function look() {
    if (socket.destroyed) return;
    const isAlive = socket.isPaused() || socket.bytesRead !== heard;
    heard = socket.bytesRead;
    silent = isAlive ? 0 : silent + 1;
    if (silent === PATIENCE) {
      socket.setTimeout(0);
      onSilence();
    } else {
      socket.setTimeout(interval);
      client.ping();
    }
  }
}
