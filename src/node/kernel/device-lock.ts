import { createServer } from "node:net";

/** Milliseconds that a device may still be in use by a session that is ending. */
const PATIENCE = 1000;
const INTERVAL = 50;

/**
 * Sees to it that a device has one user among the programs of this package on this machine. It is a name in the
 * abstract namespace of unix sockets (unix(7)), which the kernel takes back when the process dies, in whatever way.
 *
 * @param index N of /dev/nbdN
 * @returns what gives the device free, or undefined when it has another user
 */
export async function lockDevice(index: number): Promise<(() => void) | undefined> {
  for (let waited = 0; ; waited += INTERVAL) {
    const release = await tryLock(`\0nbd-proxy/nbd${index}`);
    if (release || waited >= PATIENCE) return release;
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
