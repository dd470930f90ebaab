/** The time, as far as coming back depends on it. */
export interface Clock {
  /** Milliseconds of a clock that never goes back, and goes on while the computer sleeps. */
  now(): number;
  /** Calls back after so many milliseconds, or later. Returns what calls it off. */
  after(milliseconds: number, callback: () => void): () => void;
  /** From 0 to 1. */
  random(): number;
}

/** Milliseconds by which the clock on the wall has to be ahead: the computer was asleep. */
const ASLEEP = 1000;

/** The time of this computer. `performance.now()` alone leaves out, on some systems, the time for which it sleeps. */
export function computerClock(): Clock {
  let asleep = 0;
  let [steady, wall] = [performance.now(), Date.now()];
  return {
    now() {
      const [steadyBefore, wallBefore] = [steady, wall];
      [steady, wall] = [performance.now(), Date.now()];
      const ahead = wall - wallBefore - (steady - steadyBefore);
      if (ahead > ASLEEP) asleep += ahead;
      return steady + asleep;
    },
    after(milliseconds, callback) {
      const timer = setTimeout(callback, milliseconds);
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
  };
}
