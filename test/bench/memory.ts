/**
 * Memory of our processes over a long transfer: an image of 1 GiB goes through the whole path again and again, in one
 * session, nbd-serve → gateway → unix socket → nbdcopy. Flat is what the last pass takes no more of than the second. With
 * "proxy", websocketd and nbd-proxy stand in place of the gateway.
 *
 *     node --import tsx test/bench/memory.ts [PASSES] [proxy]     (default 10; needs the build and libnbd-bin; proxy: websocketd)
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Sandbox } from "../harness.ts";
import { median } from "./median.ts";
import { memory, startPath, startProxyPath } from "./path.ts";

const SAMPLE_MILLISECONDS = 100;

const passes = Number(process.argv[2] ?? 10);
const sandbox = new Sandbox();

/** Starts the path; gives what reads it, and the processes to look at. */
async function start(isProxy: boolean): Promise<{ uri: string; names: string[]; processes: number[] }> {
  if (isProxy) {
    const { uri, proxy, serve } = await startProxyPath(sandbox, 1024);
    return { uri, names: ["nbd-proxy", "nbd-serve"], processes: [proxy, serve.pid] };
  }
  const { uri, gateway, serve } = await startPath(sandbox, 1024);
  return { uri, names: ["gateway", "nbd-serve"], processes: [gateway.pid, serve.pid] };
}

try {
  const { uri, names, processes } = await start(process.argv[3] === "proxy");
  const tell = (figures: readonly string[]) => names.map((name, i) => `${name} ${figures[i]}`).join("; ");
  console.log(`idle      ${tell(processes.map((pid) => `${memory(pid, "VmRSS")} MiB`))}`);
  for (let pass = 1; pass <= passes; pass++) {
    const samples: number[][] = [];
    let isOver = false;
    const copy = sandbox.run("nbdcopy", [uri, "null:"]).finally(() => {
      isOver = true;
    });
    copy.catch(() => {});
    while (!isOver) {
      samples.push(processes.map((pid) => memory(pid, "VmRSS")));
      await sleep(SAMPLE_MILLISECONDS);
    }
    await copy;
    const figures = processes.map((_, i) => {
      const values = samples.map((sample) => sample[i]!);
      return `${median(values)} MiB, at most ${Math.max(...values)}`;
    });
    console.log(`GiB ${String(pass).padEnd(5)} ${tell(figures)}`);
  }
  console.log(`peak over ${passes} GiB: ${tell(processes.map((pid) => `${memory(pid, "VmHWM")} MiB`))}`);
} finally {
  await sandbox.end();
}
