/**
 * An image through the whole path, nbd-serve → gateway → unix socket → nbdcopy, and how much memory each of our
 * processes takes at most. In the same run, taking turns: nbdkit serving the same file to the same nbdcopy, and a bare
 * `ws` stream of 256 KiB messages between two processes, which is the limit of that path.
 *
 * Also the processor time that our two programs take, beside that of the two of the bare stream: nbdcopy, a third one,
 * has to share the processors with ours.
 *
 *     node --import tsx test/bench/copy.ts [MIB]     (default 1024; needs the build, libnbd-bin and nbdkit)
 */
import { execFileSync, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { WebSocket, WebSocketServer } from "ws";
import { type Running, Sandbox } from "../harness.ts";
import { median } from "./median.ts";
import { MIB, memory, processorTime, startPath } from "./path.ts";

const MESSAGE = 1 << 18;
const ROUNDS = 3;

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

/** How long something took, and the processor time of the processes that are looked at, in milliseconds. */
interface Cost {
  elapsed: number;
  processor: number;
}

/** A `ws` connection that carries nothing but messages. */
async function bareStream(bytes: number): Promise<Cost> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  const child = fork(new URL(import.meta.url), ["bare", `ws://127.0.0.1:${port}`, String(bytes)]);
  const processor = () => processorTime(process.pid) + processorTime(child.pid!);
  const cost = await new Promise<Cost>((resolve) => {
    server.once("connection", (socket) => {
      const start = performance.now();
      const before = processor();
      let received = 0;
      socket.on("message", (data: Buffer) => {
        received += data.byteLength;
        if (received < bytes) return;
        resolve({ elapsed: performance.now() - start, processor: processor() - before });
      });
    });
  });
  child.kill();
  server.close();
  return cost;
}

async function main() {
  const mib = Number(process.argv[2] ?? 1024);
  const bytes = mib * MIB;
  const sandbox = new Sandbox();
  try {
    const { image, uri, gateway, serve } = await startPath(sandbox, mib);
    const peak = ({ pid }: Running) => memory(pid, "VmHWM");
    const idle = [peak(gateway), peak(serve)];
    // They run synchronously here: nothing of ours must run in this process.
    const run = (command: string, args: readonly string[], processes: readonly Running[] = []): Cost => {
      const processor = () => processes.reduce((sum, { pid }) => sum + processorTime(pid), 0);
      const before = processor();
      const start = performance.now();
      execFileSync(command, args, { stdio: "inherit" });
      return { elapsed: performance.now() - start, processor: processor() - before };
    };
    const costs: Record<"ours" | "bare" | "nbdkit", Cost[]> = { ours: [], bare: [], nbdkit: [] };
    for (let round = 0; round < ROUNDS; round++) {
      costs.ours.push(run("nbdcopy", [uri, "null:"], [gateway, serve]));
      costs.bare.push(await bareStream(bytes));
      costs.nbdkit.push(run("nbdkit", ["-U", "-", "file", image, "--run", 'nbdcopy "$uri" null:']));
      const rates = Object.entries(costs).map(
        ([name, all]) => `${name} ${rate(all.at(-1)!).toFixed(0)} MB/s`,
      );
      console.log(rates.join(", "));
    }
    const { ours, bare, nbdkit } = costs;
    const part = (of: (cost: Cost) => number) =>
      median(ours.map((cost, i) => of(bare[i]!) / of(cost))).toFixed(2);
    console.log(
      `medians of ${ROUNDS} copies of ${mib} MiB: ${median(ours.map(rate)).toFixed(0)} MB/s, ` +
        `${part(({ elapsed }) => elapsed)} of a bare ws stream, by processor time ${part(({ processor }) => processor)} of it; ` +
        `nbdkit ${median(nbdkit.map(rate)).toFixed(0)} MB/s`,
    );
    console.log(
      `peak memory: gateway ${peak(gateway)} MiB (idle ${idle[0]}), nbd-serve ${peak(serve)} MiB (idle ${idle[1]})`,
    );

    function rate({ elapsed }: Cost): number {
      return bytes / 1000 / elapsed;
    }
  } finally {
    await sandbox.end();
  }
}

if (process.argv[2] === "bare") await sendBare(process.argv[3]!, Number(process.argv[4]));
else await main();
