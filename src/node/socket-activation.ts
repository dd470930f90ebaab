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

/** A descriptor that was handed over, and what it is called. */
export interface NamedSocket {
  fd: number;
  name: string;
}

/**
 * As `activatedSockets`, with the names that LISTEN_FDNAMES gives them (`FileDescriptorName=`, systemd.socket(5)). What tells
 * of them is taken out of the environment: it is for nobody else.
 *
 * @throws Error when the variables contradict each other
 */
export function takeNamedSockets(env: NodeJS.ProcessEnv = process.env): NamedSocket[] {
  const descriptors = activatedSockets(env);
  const names = env.LISTEN_FDNAMES?.split(":") ?? [];
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete env[name];
  if (descriptors.length > 0 && names.length !== descriptors.length) {
    throw new Error(
      `LISTEN_FDNAMES has ${names.length} names for ${descriptors.length} sockets; FileDescriptorName= in the .socket unit gives one`,
    );
  }
  return descriptors.map((fd, i) => ({ fd, name: names[i]! }));
}
