import type { Clock } from "../../src/resuming/clock.ts";
import { Clock as SimulatedClock } from "../simulated-link.ts";

/** A clock for coming back, which goes on only when everything has happened that can happen without it. */
export function simulatedClock(random = () => 1): { clock: Clock; time: SimulatedClock } {
  const time = new SimulatedClock();
  const clock: Clock = {
    now: time.now,
    after(milliseconds, callback) {
      let isOff = false;
      time.at(time.now() + milliseconds, () => {
        if (!isOff) callback();
      });
      return () => {
        isOff = true;
      };
    },
    random,
  };
  return { clock, time };
}
