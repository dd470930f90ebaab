/**
 * Random reads of 4 KiB, 16 at a time, through the whole path: nbd-serve → gateway → unix socket → fio. In the same
 * run: a bare `ws` connection between two processes that carries messages of the same sizes, 16 questions at a time; and
 * the same path with a relay in the gateway's place that passes bytes on without a look at them, which is its limit with
 * three processes; as its processes are new each time, they are given some seconds first. All take turns, as what else the
 * machine does changes.
 *
 * Also the processor time that our two programs take for a read, beside that of the two processes for an answer: fio, a
 * third one, takes a quarter of a processor.
 *
 *     node --import tsx test/bench/random.ts [ROUNDS]     (default 3; needs the build and fio)
 */
import { execFileSync, fork } from "node:child_process";
import { WebSocket, WebSocketServer } from "ws";
import { Request, SimpleReply } from "../../src/nbd/messages.ts";
import { type Running, Sandbox } from "../harness.ts";
import { BLOCK, DEPTH, fioArguments, readsPerSecond } from "./fio.ts";
import { median } from "./median.ts";
import { processorTime, startPath, startRelayPath } from "./path.ts";

const SECONDS = 5;

/** The child of the bare connection: answers each message at once, with one as long as the reply to a READ. */
async function answerBare(url: string) {
  const socket = new WebSocket(url, { perMessageDeflate: false, generateMask: (key) => key.fill(0) });
  const reply = Buffer.alloc(SimpleReply.size + BLOCK);
  socket.on("message", () => socket.send(reply));
  await new Promise((resolve) => socket.once("close", resolve));
}

/** What is done a second, and the microseconds of processor time that each takes of the two processes at work. */
interface Rate {
  rate: number;
  processor: number;
}

/** Questions and answers on a `ws` connection that carries nothing else. */
async function bareEcho(): Promise<Rate> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  const child = fork(new URL(import.meta.url), ["bare", `ws://127.0.0.1:${port}`]);
  const socket = await new Promise<WebSocket>((resolve) => server.once("connection", resolve));
  const request = Buffer.alloc(Request.size);
  let answers = 0;
  socket.on("message", () => {
    answers++;
    socket.send(request);
  });
  const processor = () => processorTime(process.pid) + processorTime(child.pid!);
  const before = processor();
  const start = performance.now();
  for (let i = 0; i < DEPTH; i++) socket.send(request);
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  const rate = (answers * 1000) / (performance.now() - start);
  const cost = { rate, processor: ((processor() - before) * 1000) / answers };
  socket.terminate();
  await new Promise((resolve) => child.once("exit", resolve));
  server.close();
  return cost;
}

function fio(uri: string, programs: readonly Running[]): Rate {
  const processor = () => programs.reduce((sum, { pid }) => sum + processorTime(pid), 0);
  const before = processor();
  const rate = readsPerSecond(
    execFileSync("fio", fioArguments(uri, { runtime: SECONDS }), { encoding: "utf8" }),
  );
  return { rate, processor: ((processor() - before) * 1000) / (rate * SECONDS) };
}

/** Reads a second through the relay. fio connects twice, first to ask for the size. */
async function relayed(sandbox: Sandbox, image: string): Promise<number> {
  const { uri, processes } = await startRelayPath(sandbox, image, 2);
  const limit = { runtime: SECONDS, ramp_time: 2 * SECONDS };
  const rate = readsPerSecond(execFileSync("fio", fioArguments(uri, limit), { encoding: "utf8" }));
  for (const running of processes) running.kill();
  await Promise.all(processes.map(({ exit }) => exit));
  return rate;
}

async function main() {
  const rounds = Number(process.argv[2] ?? 3);
  const sandbox = new Sandbox();
  try {
    const { image, uri, gateway, serve } = await startPath(sandbox, 256);
    const ratios: (Rate & { relay: number })[] = [];
    for (let round = 0; round < rounds; round++) {
      const ours = fio(uri, [gateway, serve]);
      const relay = await relayed(sandbox, image);
      const bare = await bareEcho();
      const line = ({ rate, processor }: Rate) =>
        `${rate.toFixed(0)} a second, ${processor.toFixed(0)} µs each`;
      console.log(`fio ${line(ours)}; through a relay ${relay.toFixed(0)} a second; bare ws ${line(bare)}`);
      ratios.push({
        rate: ours.rate / bare.rate,
        processor: bare.processor / ours.processor,
        relay: ours.rate / relay,
      });
    }
    const part = (key: keyof (typeof ratios)[0]) => median(ratios.map((ratio) => ratio[key])).toFixed(2);
    console.log(
      `4 KiB random reads, depth ${DEPTH}: ${part("rate")} of a bare ws connection, by processor time ` +
        `${part("processor")} of it; ${part("relay")} of a relay of bytes (medians)`,
    );
  } finally {
    await sandbox.end();
  }
}

if (process.argv[2] === "bare") await answerBare(process.argv[3]!);
else await main();
