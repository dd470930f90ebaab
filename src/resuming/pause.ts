import type { Clock } from "./clock.ts";

/** Milliseconds between two looks at the clock, and how much later than that a look shows that the computer was asleep. */
const LOOK = 1000;
const LATE = 2000;

/** What ends a pause early. */
export interface Pause {
  clock: Clock;
  onWake(callback: () => void): () => void;
  signal: AbortSignal;
}

/** Waits for so many milliseconds; shorter when the page or the computer wakes up meanwhile, or the signal is aborted. */
export function pause(milliseconds: number, { clock, onWake, signal }: Pause): Promise<void> {
  return new Promise((resolve) => {
    const until = clock.now() + milliseconds;
    let callOff = () => {};

    function end() {
      callOff();
      unwatch();
      signal.removeEventListener("abort", end);
      resolve();
    }

    function look(due: number) {
      const now = clock.now();
      if (now >= until || now - due > LATE) return end();
      const wait = Math.min(LOOK, until - now);
      callOff = clock.after(wait, () => look(now + wait));
    }

    const unwatch = onWake(end);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    else look(clock.now());
  });
}
