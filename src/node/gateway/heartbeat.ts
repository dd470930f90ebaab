import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { nextTask } from "../../streams/next-task.ts";

/** Intervals in which nothing is received, each ended by a ping, before the one at whose end the other side counts as dead. */
const PATIENCE = 2;

/**
 * Pings the other side of a WebSocket when nothing was received for an interval, and tells when it stays silent, after three to
 * four intervals: a computer that goes to sleep closes nothing. Ends with the socket.
 *
 * Any byte received is a sign of life, as a pong cannot overtake the rest of a long message. What is sent is none: the system
 * takes it long after the link is gone. While the socket is paused nothing is heard, which says nothing of the other side.
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
  let received = socket.bytesRead;
  // What came while this process was stopped is read first.
  const timer = setInterval(() => nextTask(look), interval).unref();
  socket.once("close", () => clearInterval(timer));

  function look() {
    if (socket.destroyed || silent > PATIENCE) return;
    const isHeard = socket.bytesRead !== received;
    received = socket.bytesRead;
    silent = isHeard || socket.isPaused() ? 0 : silent + 1;
    if (silent > PATIENCE) {
      clearInterval(timer);
      onSilence();
    } else if (!isHeard) client.ping();
  }
}
