/** nbd-serve on a listening unix socket, where any number of clients find it, without a gateway between. */
import { program, type Running, type Sandbox, until } from "../harness.ts";
import type { Attached } from "./link.ts";

/** Starts a program with a listening socket as systemd does: descriptor 3, told of by the environment. */
const ACTIVATE = `
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(64)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])`;

/** nbd-serve of a file, with its options, once it serves. It needs Debian's Python. */
export async function serveListening(sandbox: Sandbox, ...args: string[]): Promise<Running & Attached> {
  const socket = sandbox.path("serve.sock");
  const command = ["-c", ACTIVATE, socket, process.execPath, program("nbd-serve"), ...args, "-"];
  const server = sandbox.start("/usr/bin/python3", command);
  await until(
    "nbd-serve serves",
    () => {
      if (server.process.exitCode !== null) throw new Error(server.stderr);
      return /serving .*\n/.test(server.stderr);
    },
    60_000,
  );
  return Object.assign(server, { socket, uri: `nbd+unix:///?socket=${socket}` });
}
