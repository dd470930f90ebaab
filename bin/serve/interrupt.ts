/** Milliseconds in which SIGINT comes twice for one Ctrl-C: npx, which gets it too, passes it on to what it has started. */
const SAME_PRESS = 200;

/**
 * Calls `end` when Ctrl-C is pressed once `signal` is aborted, as by the Ctrl-C before. It listens as long as the process runs.
 * @param now milliseconds of a clock that never goes back
 */
export function onNextInterrupt(signal: AbortSignal, end: () => void, now = () => performance.now()): void {
  let endingSince: number | undefined;
  signal.addEventListener("abort", () => {
    endingSince = now();
  });
  process.on("SIGINT", () => {
    if (endingSince !== undefined && now() - endingSince >= SAME_PRESS) end();
  });
}

/** Ends the process at once as if it did not handle the signal: whoever has started it sees that. */
export function endBy(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
