/**
 * An image through the whole path, nbd-serve → gateway → unix socket → nbdcopy, and how much memory each of our
 * processes takes at most. In the same run: nbdkit serving the same file to the same nbdcopy, and a bare `ws`
 * stream of 256 KiB messages between two processes, which is the limit of that path.
 *
 *     node --import tsx test/bench/copy.ts [MIB]     (default 1024; needs libnbd-bin and nbdkit)
 */
import { execFileSync, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { WebSocket, WebSocketServer } from "ws";
import { type Running, Sandbox } from "../harness.ts";
import { MIB, memory, startPath } from "./path.ts";

const MESSAGE = 1 << 18;

/** The child of the bare stream: sends what it is asked to. */
async function sendBare(url: string, bytes: number) {
  // Masked as nbd-serve does it on one machine, which is to say not at all.
  const socket = new WebSocket(url, { perMessageDeflate: false, generateMask: (key) => key.fill(0) });
  await new Promise((resolve) => socket.once("open", resolve));
  const message = randomBytes(MESSAGE);
  const ahead: Promise<unknown>[] = [];
  for (let sent = 0; sent < bytes; sent += MESSAGE) {
    ahead.push(new Promise((resolve) => socket.send(message, resolve)));
    if (ahead.length > 16) await ahead.shift();
  }
  socket.close();
}

/** MB/s of a `ws` connection that carries nothing but messages. */
async function bareStream(bytes: number): Promise<number> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  const done = new Promise<number>((resolve) => {
    server.once("connection", (socket) => {
      const start = performance.now();
      socket.on("message", () => {});
      socket.on("close", () => resolve(performance.now() - start));
    });
  });
  const child = fork(new URL(import.meta.url), ["bare", `ws://127.0.0.1:${port}`, String(bytes)]);
  const milliseconds = await done;
  child.kill();
  server.close();
  return bytes / 1000 / milliseconds;
}

function timed(run: () => void): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

async function main() {
  const mib = Number(process.argv[2] ?? 1024);
  const bytes = mib * MIB;
  const sandbox = new Sandbox();
  try {
    const { image, uri, gateway, serve } = await startPath(sandbox, mib);
    const peak = ({ pid }: Running) => memory(pid, "VmHWM");

    const idle = [peak(gateway), peak(serve)];
    const nbdcopy = (uri: string) => execFileSync("nbdcopy", [uri, "null:"], { stdio: "inherit" });
    // nbdcopy runs synchronously here: nothing of ours must run in this process.
    const ours = timed(() => nbdcopy(uri));
    const peaks = [peak(gateway), peak(serve)];
    const nbdkit = timed(() =>
      execFileSync("nbdkit", ["-U", "-", "file", image, "--run", 'nbdcopy "$uri" null:'], {
        stdio: "inherit",
      }),
    );
    const bare = await bareStream(bytes);

    const rate = (milliseconds: number) => bytes / 1000 / milliseconds;
    console.log(`nbd-serve -> gateway -> nbdcopy   ${rate(ours).toFixed(0)} MB/s`);
    console.log(
      `bare ws stream, 256 KiB messages  ${bare.toFixed(0)} MB/s   ours is ${(rate(ours) / bare).toFixed(2)} of it`,
    );
    console.log(`nbdkit file -> nbdcopy            ${rate(nbdkit).toFixed(0)} MB/s`);
    console.log(
      `peak memory: gateway ${peaks[0]} MiB (idle ${idle[0]}), nbd-serve ${peaks[1]} MiB (idle ${idle[1]})`,
    );
  } finally {
    await sandbox.end();
  }
}

if (process.argv[2] === "bare") await sendBare(process.argv[3]!, Number(process.argv[4]));
else await main();
