/** The first descriptor that is handed over (sd_listen_fds(3)). */
const FIRST = 3;

/**
 * The listening socket that this process was started with, as systemd and libnbd do it ("socket activation"):
 * its descriptor, or undefined when there is none.
 */
export function activatedSocket(env: NodeJS.ProcessEnv = process.env): number | undefined {
  // LISTEN_PID tells a variable that was meant for this process from one that was inherited.
  if (env.LISTEN_PID !== String(process.pid)) return undefined;
  return Number(env.LISTEN_FDS) >= 1 ? FIRST : undefined;
}
