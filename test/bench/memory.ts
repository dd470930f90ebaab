/**
 * Memory of our processes over a long transfer: an image of 1 GiB goes through the whole path again and again, in one
 * session, nbd-serve → gateway → unix socket → nbdcopy. Flat is what the last pass takes no more of than the second.
 *
 *     node --import tsx test/bench/memory.ts [PASSES]     (default 10; needs the build and libnbd-bin)
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Sandbox } from "../harness.ts";
import { memory, startPath } from "./path.ts";

const SAMPLE_MILLISECONDS = 100;

const passes = Number(process.argv[2] ?? 10);
const sandbox = new Sandbox();
try {
  const { uri, gateway, serve } = await startPath(sandbox, 1024);
  const processes = [gateway, serve];
  console.log(
    `idle      gateway ${memory(gateway.pid, "VmRSS")} MiB, nbd-serve ${memory(serve.pid, "VmRSS")} MiB`,
  );
  for (let pass = 1; pass <= passes; pass++) {
    const samples: [number, number][] = [];
    let isOver = false;
    const copy = sandbox.run("nbdcopy", [uri, "null:"]).finally(() => {
      isOver = true;
    });
    copy.catch(() => {});
    while (!isOver) {
      const [a, b] = processes.map(({ pid }) => memory(pid, "VmRSS")) as [number, number];
      samples.push([a, b]);
      await sleep(SAMPLE_MILLISECONDS);
    }
    await copy;
    const line = ([0, 1] as const).map((i) => {
      const sorted = samples.map((sample) => sample[i]).sort((a, b) => a - b);
      return `${sorted[sorted.length >> 1]} MiB, at most ${sorted.at(-1)}`;
    });
    console.log(`GiB ${String(pass).padEnd(5)} gateway ${line[0]}; nbd-serve ${line[1]}`);
  }
  const most = processes.map(({ pid }) => memory(pid, "VmHWM"));
  console.log(`peak over ${passes} GiB: gateway ${most[0]} MiB, nbd-serve ${most[1]} MiB`);
} finally {
  await sandbox.end();
}
