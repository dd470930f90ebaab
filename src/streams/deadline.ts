import { LONGEST_TIMER } from "./check.ts";
import { nextTask } from "./next-task.ts";

/** A timer that is this late, in milliseconds, tells that the process did not run: it was stopped, or the computer slept. */
const STOPPED = 1000;

/**
 * Calls back once `milliseconds` have passed without an answer of a peer, whatever that answer is.
 *
 * A process that was stopped finds its timers due before it has read what came meanwhile. So what has come is read first,
 * and the time starts anew after a stop.
 *
 * @param afterStop the time that the peer is given after a stop, in milliseconds
 * @returns what calls it off; harmless when it has passed
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
