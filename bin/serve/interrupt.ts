/** Milliseconds in which SIGINT comes twice for one Ctrl-C: npx, which gets it too, passes it on to what it has started. */
const SAME_PRESS = 200;

/**
 * Once `signal` is aborted, Ctrl-C ends the process at once, and by the signal, for whoever looks at the exit status.
 * @param before is called then
 */
export function endOnInterrupt(signal: AbortSignal, before: () => void): void {
  let endingSince: number | undefined;
  signal.addEventListener("abort", () => {
    endingSince = performance.now();
  });
  process.on("SIGINT", () => {
    if (endingSince === undefined || performance.now() - endingSince < SAME_PRESS) return;
    before();
    process.removeAllListeners("SIGINT");
    process.kill(process.pid, "SIGINT");
  });
}
