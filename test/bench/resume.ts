/**
 * What going on over a new link takes, through nbd-serve ▸ a relay ▸ gateway ▸ unix socket:
 *
 * - the time from a cut to the first answered read, without a round trip and with one of 50 ms;
 * - the memory of the gateway while 1,000 requests wait for a link;
 * - what the layer costs while nothing is lost: copies, random reads and random writes with `resume: 300`, beside the same with
 *   `resume: 0`, in turns, by the clock and by the processor time of our two programs.
 *
 *     node --import tsx test/bench/resume.ts [cuts|memory|cost] [ROUNDS]     (needs the build, libnbd-bin and fio)
 *
 * ROUNDS is the number of cuts (default 20), or of turns (default 7).
 */
import { execFileSync } from "node:child_process";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { nbdClient, socketTransport } from "../../src/node/index.ts";
import { program, type Running, Sandbox, until } from "../harness.ts";
import { forkRelay } from "../relay.ts";
import { attached, attachedAt, startGateway } from "../system/link.ts";
import { serveOver } from "./far-link.ts";
import { fioArguments, readsPerSecond, writesPerSecond } from "./fio.ts";
import { median } from "./median.ts";
import { MIB, makeImage, memory, processorTime } from "./path.ts";

const RESUME = 300;
const IMAGE = 512;
const BLOCK = 4096;

/** Milliseconds for which a link lasts before it is cut: after one that was shorter, nbd-serve waits for longer. */
const LASTING = 1500;

const FAR = 50;
const SECONDS = 4;

/** A client of the socket in this process. */
const client = (socket: string) => nbdClient(socketTransport(connect({ path: socket, allowHalfOpen: true })));

/** Milliseconds from each cut to the answer of a read that was asked for at once after it. */
async function cuts(image: string, roundTrip: number, count: number): Promise<number[]> {
  const sandbox = new Sandbox();
  try {
    const gateway = await startGateway(sandbox, { resume: RESUME });
    const relay = await serveOver({ roundTrip }, sandbox, image, Number(new URL(gateway.url).port));
    try {
      await attached(gateway);
      const disk = await client(attachedAt(sandbox).socket);
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        await sleep(LASTING);
        const start = performance.now();
        await relay.cut();
        // Where nothing was read, and nothing read ahead.
        await disk.read(2 * (i + 1) * 4 * MIB, BLOCK);
        times.push(performance.now() - start);
      }
      await disk.close();
      return times;
    } finally {
      await relay.close();
    }
  } finally {
    await sandbox.end();
  }
}

async function tellCuts(image: string, count: number) {
  const near = await cuts(image, 0, count);
  const far = await cuts(image, FAR, count);
  const tell = (times: number[]) =>
    `${median(times).toFixed(0)} ms (${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)})`;
  const roundTrips = (Math.min(...far) - Math.min(...near)) / FAR;
  console.log(
    `from a cut to the first answered read, medians of ${count}: ${tell(near)}; over ${FAR} ms ${tell(far)}: ` +
      `${((median(far) - median(near)) / FAR).toFixed(1)} round trips more, the shortest ${roundTrips.toFixed(1)}`,
  );
}

/** What 1,000 requests of a kind take of the gateway while they wait, in MiB. */
async function waiting(image: string, length: number, isWrite: boolean) {
  const [clients, each] = [10, 100];
  const sandbox = new Sandbox();
  try {
    const gateway = await startGateway(sandbox, { resume: RESUME });
    const port = Number(new URL(gateway.url).port);
    const relay = await forkRelay({ listen: 0, to: port });
    sandbox.start(program("nbd-serve"), [
      ...(isWrite ? ["--writable"] : []),
      image,
      `ws://127.0.0.1:${relay.place}/`,
    ]);
    await attached(gateway);
    const { socket } = attachedAt(sandbox);
    const disks = await Promise.all(Array.from({ length: clients }, () => client(socket)));
    await sleep(1000);
    const before = memory(gateway.pid, "VmRSS");
    await relay.close();
    await until("the link is lost", () => gateway.stderr.includes("the link is lost"));
    const data = new Uint8Array(length).fill(1);
    const asked = disks.flatMap((disk, i) =>
      Array.from({ length: each }, (_, j) => {
        const at = (i * each + j) * (256 << 10);
        return isWrite ? disk.write!(at, data) : disk.read(at, length);
      }),
    );
    // As long as it grows.
    let most = before;
    for (let stays = 0; stays < 20; stays++) {
      await sleep(100);
      const now = memory(gateway.pid, "VmRSS");
      if (now > most) [most, stays] = [now, 0];
    }
    const back = await forkRelay({ listen: relay.place, to: port });
    await Promise.all(asked);
    await Promise.all(disks.map((disk) => disk.close()));
    await back.close();
    return { before, most };
  } finally {
    await sandbox.end();
  }
}

async function tellMemory(image: string) {
  for (const [what, length, isWrite] of [
    ["reads of 4 KiB", BLOCK, false],
    ["reads of 256 KiB", 256 << 10, false],
    ["writes of 4 KiB", BLOCK, true],
    ["writes of 40 KiB", 40 << 10, true],
  ] as const) {
    const { before, most } = await waiting(image, length, isWrite);
    console.log(`1,000 ${what} wait: gateway ${before} MiB before, at most ${most} MiB`);
  }
}

interface Path {
  uri: string;
  programs: Running[];
}

/** Starts both programs around an image, with or without the layer. */
async function start(sandbox: Sandbox, image: string, seconds: number): Promise<Path> {
  const gateway = await startGateway(sandbox, { resume: seconds });
  const options = ["--retry", String(seconds), "--writable"];
  const serve = sandbox.start(program("nbd-serve"), [...options, image, gateway.url]);
  await attached(gateway);
  return { uri: attachedAt(sandbox).uri, programs: [gateway, serve] };
}

/** How much was done in a second, and the processor time of our programs for each of it. */
interface Figure {
  rate: number;
  processor: number;
}

function measure({ programs }: Path, work: () => number): Figure {
  const processor = () => programs.reduce((sum, { pid }) => sum + processorTime(pid), 0);
  const [before, begin] = [processor(), performance.now()];
  const rate = work();
  const seconds = (performance.now() - begin) / 1000;
  return { rate, processor: (processor() - before) / (rate * seconds) };
}

const works: Record<string, (path: Path) => Figure> = {
  copies: (path) =>
    measure(path, () => {
      const begin = performance.now();
      execFileSync("nbdcopy", [path.uri, "null:"]);
      return IMAGE / ((performance.now() - begin) / 1000);
    }),
  "random reads": (path) =>
    measure(path, () =>
      readsPerSecond(execFileSync("fio", fioArguments(path.uri, { runtime: SECONDS }), { encoding: "utf8" })),
    ),
  "random writes": (path) =>
    measure(path, () =>
      writesPerSecond(
        execFileSync("fio", fioArguments(path.uri, { runtime: SECONDS }, "randwrite"), { encoding: "utf8" }),
      ),
    ),
};

async function tellCost(rounds: number) {
  const sandboxes = [new Sandbox(), new Sandbox()] as const;
  try {
    const images = sandboxes.map((sandbox) => makeImage(sandbox, IMAGE));
    const [bare, lasting] = [
      await start(sandboxes[0], images[0]!, 0),
      await start(sandboxes[1], images[1]!, RESUME),
    ];
    for (const [what, work] of Object.entries(works)) {
      // The first of each is for the compiler.
      for (const path of [bare, lasting]) work(path);
      const pairs: [Figure, Figure][] = [];
      for (let round = 0; round < rounds; round++) {
        // What else the machine does changes: neither is always the first.
        if (round % 2 === 0) pairs.push([work(bare), work(lasting)]);
        else pairs.push(([work(lasting), work(bare)] as [Figure, Figure]).reverse() as [Figure, Figure]);
      }
      const ratio = (key: keyof Figure) => {
        const all = pairs.map(([without, withIt]) => withIt[key] / without[key]);
        return `${median(all).toFixed(3)} (${Math.min(...all).toFixed(2)} to ${Math.max(...all).toFixed(2)})`;
      };
      console.log(
        `${what} with the layer, medians of ${rounds}: ${ratio("rate")} of the rate, ` +
          `${ratio("processor")} of the processor time`,
      );
    }
  } finally {
    for (const sandbox of sandboxes) await sandbox.end();
  }
}

const [, , only, rounds] = process.argv;
if (only === undefined || only !== "cost") {
  const sandbox = new Sandbox();
  try {
    const image = makeImage(sandbox, IMAGE);
    if (only !== "memory") await tellCuts(image, Number(rounds ?? 20));
    if (only !== "cuts") await tellMemory(image);
  } finally {
    await sandbox.end();
  }
}
if (only === undefined || only === "cost") await tellCost(Number(rounds ?? 7));
