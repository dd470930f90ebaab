import { createServer } from "node:net";

/** Milliseconds that something may still be in use by a session that is ending. */
const PATIENCE = 1000;
const INTERVAL = 50;

/** Bytes of an abstract name, its first one included. Some versions of Node fill shorter ones up, others do not. */
const NAME_LENGTH = 108;

/**
 * Sees to it that something has one user among the programs of this package on this machine. It is a name in the abstract
 * namespace of unix sockets (unix(7)), which the kernel takes back when the process dies, in whatever way. Only Linux has
 * such names: elsewhere nothing is locked.
 *
 * @param name what is locked, in at most 90 bytes
 * @returns what unlocks it, or undefined when it still has another user after a second
 */
export async function lock(name: string): Promise<(() => void) | undefined> {
  if (process.platform !== "linux") return () => {};
  for (let waited = 0; ; waited += INTERVAL) {
    const unlock = await tryLock(`\0nbd-proxy/${name}`.padEnd(NAME_LENGTH, "/"));
    if (unlock || waited >= PATIENCE) return unlock;
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}

function tryLock(name: string): Promise<(() => void) | undefined> {
  // Nobody has anything to say there.
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen(name, () => resolve(() => server.close()));
    server.unref();
  });
}
