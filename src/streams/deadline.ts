import { LONGEST_TIMER } from "./check.ts";
import { nextTask } from "./next-task.ts";

/** A timer that is this many milliseconds late means that the process was stopped, or that the computer slept. */
const STOPPED = 1000;

/**
 * Calls `onPassed` after `milliseconds`, unless it is called off: a time limit for a peer's answer.
 *
 * A process that was stopped finds its timers due before it has read what arrived meanwhile. So the time starts again after
 * a stop, and what has arrived is read before `onPassed` is called.
 *
 * @param afterStop the time that the peer has after a stop, in milliseconds
 * @returns a function that calls it off; it does nothing once the time has passed
 */
export function deadline(
  milliseconds: number,
  onPassed: () => void,
  afterStop: number = milliseconds,
): () => void {
  let isOff = false;
  let timer: ReturnType<typeof setTimeout>;

  function start(wanted: number) {
    const time = Math.min(wanted, LONGEST_TIMER);
    const due = performance.now() + time;
    timer = setTimeout(() => {
      if (performance.now() - due >= STOPPED) start(afterStop);
      else nextTask(judge);
    }, time);
  }

  function judge() {
    if (!isOff) onPassed();
  }

  start(milliseconds);
  return () => {
    isOff = true;
    clearTimeout(timer);
  };
}
