/** The first descriptor that is handed over (sd_listen_fds(3)). */
const FIRST = 3;

/** Descriptors are no more than that, whatever a variable says. */
const MOST = 1024;

/**
 * The listening sockets that this process was started with, as systemd and libnbd do it ("socket activation"): their
 * descriptors, none when there are none.
 * @throws Error when LISTEN_FDS is not a number
 */
export function activatedSockets(env: NodeJS.ProcessEnv = process.env): number[] {
  // LISTEN_PID tells variables that were meant for this process from those that were inherited.
  if (env.LISTEN_PID !== String(process.pid) || env.LISTEN_FDS === undefined) return [];
  const count = /^\d+$/.test(env.LISTEN_FDS) ? Number(env.LISTEN_FDS) : Number.NaN;
  if (!(count <= MOST)) {
    throw new Error(`LISTEN_FDS is "${env.LISTEN_FDS}", which is not a number of sockets`);
  }
  return Array.from({ length: count }, (_, i) => FIRST + i);
}
