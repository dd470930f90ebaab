import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { deadline } from "../../streams/deadline.ts";
import { nextTask } from "../../streams/next-task.ts";

/** Intervals in which nothing is received, each ended by a ping, before the one at whose end the other side counts as dead. */
const PATIENCE = 2;

/** Milliseconds between two looks at whether something came: the precision of `silence`, and that while an answer is waited for. */
const LOOK = 1000;
const LOOK_FOR_ANSWER = 20;

/** Milliseconds for which an answer counts, so that a thousand who ask cost one ping a second. */
const FRESH = 1000;

/** What is known of the other side of a WebSocket. */
export interface Heartbeat {
  /** Milliseconds since something came, to within a second. While the socket is paused nothing can come, and it is 0. */
  readonly silence: number;
  /**
   * Pings out of turn, and tells whether a sign of life comes within so many milliseconds. If none comes, `onSilence` is called.
   * Who asks while an answer is waited for, or soon after it, gets the same one.
   */
  isAlive(milliseconds: number): Promise<boolean>;
}

/**
 * Pings the other side of a WebSocket when nothing was received for an interval, and tells when it stays silent, after three to
 * four intervals: a computer that goes to sleep closes nothing. Ends with the socket.
 *
 * Any byte received is a sign of life, as a pong cannot overtake the rest of a long message. What is sent is none: the system
 * takes it long after the link is gone. While the socket is paused nothing is heard, which says nothing of the other side.
 *
 * @param socket what the WebSocket runs on
 * @param interval milliseconds
 * @param onSilence called at most once
 */
export function heartbeat(
  client: Pick<WebSocket, "ping">,
  socket: Socket,
  interval: number,
  onSilence: () => void,
): Heartbeat {
  let silent = 0;
  let received = socket.bytesRead;
  let isOver = false;
  let seen = received;
  let seenAt = performance.now();
  let answeredAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<boolean> | undefined;
  // What came while this process was stopped is read first.
  const looking = setInterval(() => nextTask(look), interval).unref();
  const noting = setInterval(note, LOOK).unref();
  const end = () => {
    clearInterval(looking);
    clearInterval(noting);
  };
  if (socket.destroyed) end();
  socket.once("close", end);

  function look() {
    if (socket.destroyed || isOver) return;
    const isHeard = socket.bytesRead !== received;
    received = socket.bytesRead;
    silent = isHeard || socket.isPaused() ? 0 : silent + 1;
    if (silent > PATIENCE) giveUp();
    else if (!isHeard) client.ping();
  }

  function giveUp() {
    if (isOver) return;
    isOver = true;
    end();
    onSilence();
  }

  /** Takes note of what came since the last time. */
  function note() {
    if (socket.bytesRead === seen && !socket.isPaused()) return;
    seen = socket.bytesRead;
    seenAt = performance.now();
  }

  function ask(milliseconds: number): Promise<boolean> {
    return new Promise((resolve) => {
      const before = socket.bytesRead;
      let unsent = 0;
      /**
       * If the system takes nothing more to send, the ping waits. When it takes some again, it has had an answer to what it sent
       * before.
       */
      function hasAnswered(): boolean {
        const waits = socket.writableLength;
        const isRead = unsent > 0 && waits < unsent;
        unsent = waits;
        return isRead || socket.bytesRead !== before || socket.isPaused();
      }
      function finish(isAlive: boolean) {
        clearInterval(waiting);
        callOff();
        socket.off("close", onClose);
        if (isAlive) answeredAt = performance.now();
        resolve(isAlive);
      }
      const onClose = () => finish(false);
      const waiting = setInterval(() => hasAnswered() && finish(true), LOOK_FOR_ANSWER);
      const callOff = deadline(milliseconds, () => {
        const isAlive = hasAnswered();
        finish(isAlive);
        if (!isAlive) giveUp();
      });
      socket.once("close", onClose);
      client.ping();
    });
  }

  return {
    get silence() {
      note();
      return socket.isPaused() ? 0 : performance.now() - seenAt;
    },
    async isAlive(milliseconds) {
      if (socket.destroyed || isOver) return false;
      if (performance.now() - answeredAt < FRESH) return true;
      asking ??= ask(milliseconds).finally(() => {
        asking = undefined;
      });
      return asking;
    },
  };
}
