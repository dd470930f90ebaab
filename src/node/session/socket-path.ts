import { lstat, unlink } from "node:fs/promises";
import { connect } from "node:net";

/**
 * Makes way for a unix socket at `path`: removes a socket file that nobody listens on any more.
 * @throws Error when somebody does, or when what is there is no socket
 */
export async function claimSocketPath(path: string): Promise<void> {
  const stat = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!stat) return;
  if (!stat.isSocket()) throw new Error("there is something else of that name, which is no socket");
  if (await isListening(path)) throw new Error("it is in use by another process");
  await unlink(path);
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(false);
      // A full backlog: somebody is there.
      else if (error.code === "EAGAIN") resolve(true);
      else reject(error);
    });
  });
}
