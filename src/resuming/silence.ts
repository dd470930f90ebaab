import { nextTask } from "../streams/next-task.ts";
import type { WebSocketLike } from "../transport/websocket.ts";
import type { Clock } from "./clock.ts";

/** Milliseconds between two looks. */
const LOOK = 1000;

export interface SilenceOptions {
  clock: Clock;
  onWake(callback: () => void): () => void;
  /** Milliseconds for which the other side may be silent now; undefined: for ever. */
  limit(): number | undefined;
  /** Called once, when it was silent for too long. */
  onSilent(): void;
}

/**
 * Watches for a link on which nothing comes in, though the other side has promised to ask for something every few seconds. A
 * page sees no pings, and TCP may take a quarter of an hour. Nothing comes while something long is being sent; so that counts
 * too, as long as it goes on.
 *
 * The clock is judged, and not how often a timer ran: in a page that is not seen timers run once a minute.
 *
 * @returns what ends it
 */
export function watchSilence(
  socket: Pick<WebSocketLike, "addEventListener" | "bufferedAmount">,
  { clock, onWake, limit, onSilent }: SilenceOptions,
): () => void {
  let heardAt = clock.now();
  let unsent = socket.bufferedAmount;
  let isOver = false;
  let callOff = () => {};

  const hear = () => {
    heardAt = clock.now();
  };

  /** Whether the silence is too long by now. */
  function isTooLong(): boolean {
    if (unsent !== socket.bufferedAmount) hear();
    unsent = socket.bufferedAmount;
    const most = limit();
    return most !== undefined && clock.now() - heardAt >= most;
  }

  function look() {
    if (isOver) return;
    if (!isTooLong()) callOff = clock.after(LOOK, look);
    // A process that was stopped, or asleep, has not read yet what came meanwhile.
    else nextTask(judge);
  }

  function judge() {
    if (isOver) return;
    if (!isTooLong()) return look();
    end();
    onSilent();
  }

  function end() {
    isOver = true;
    callOff();
    unwatch();
  }

  const unwatch = onWake(() => {
    callOff();
    look();
  });
  socket.addEventListener("message" as never, hear as never);
  look();
  return end;
}
