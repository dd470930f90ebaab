import { LONGEST_TIMER } from "../../streams/check.ts";

/**
 * Milliseconds within which the service manager wants a sign of life (`WatchdogSec=`, sd_watchdog_enabled(3)).
 * @returns undefined when it wants none of this process
 */
export function watchdogTime(env: NodeJS.ProcessEnv): number | undefined {
  const { WATCHDOG_USEC = "", WATCHDOG_PID = String(process.pid) } = env;
  if (WATCHDOG_PID !== String(process.pid) || !/^[1-9]\d{0,18}$/.test(WATCHDOG_USEC)) return undefined;
  return Number(WATCHDOG_USEC) / 1000;
}

/**
 * Gives signs of life twice in that time. They come from the event loop: when it stands still, there are none. While one waits for
 * a manager that is stuck, no other is given.
 * @param sign gives one, and never fails
 * @returns ends it
 */
export function feedWatchdog(time: number, sign: () => Promise<void>): () => void {
  let isSigning = false;
  const signUnlessWaiting = async () => {
    if (isSigning) return;
    isSigning = true;
    await sign();
    isSigning = false;
  };
  const timer = setInterval(signUnlessWaiting, Math.max(1, Math.min(time / 2, LONGEST_TIMER)));
  timer.unref();
  return () => clearInterval(timer);
}
