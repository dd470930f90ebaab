/**
 * Random reads of 4 KiB, 16 at a time, through the whole path: nbd-serve → gateway → unix socket → fio. In the same
 * run: a bare `ws` connection between two processes that carries messages of the same sizes, 16 questions at a time,
 * which is the limit of that path. All take turns, as what else the machine does changes.
 *
 *     node --import tsx test/bench/random.ts [ROUNDS]     (default 3; needs the build and fio)
 */
import { execFileSync, fork } from "node:child_process";
import { WebSocket, WebSocketServer } from "ws";
import { Request, SimpleReply } from "../../src/nbd/messages.ts";
import { Sandbox } from "../harness.ts";
import { BLOCK, DEPTH, fioArguments, readsPerSecond } from "./fio.ts";
import { startPath } from "./path.ts";

const SECONDS = 5;

/** The child of the bare connection: answers each message at once, with one as long as the reply to a READ. */
async function answerBare(url: string) {
  const socket = new WebSocket(url, { perMessageDeflate: false, generateMask: (key) => key.fill(0) });
  const reply = Buffer.alloc(SimpleReply.size + BLOCK);
  socket.on("message", () => socket.send(reply));
  await new Promise((resolve) => socket.once("close", resolve));
}

/** Questions and answers a second on a `ws` connection that carries nothing else. */
async function bareEcho(): Promise<number> {
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
  const start = performance.now();
  for (let i = 0; i < DEPTH; i++) socket.send(request);
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  const rate = (answers * 1000) / (performance.now() - start);
  socket.terminate();
  await new Promise((resolve) => child.once("exit", resolve));
  server.close();
  return rate;
}

const fio = (uri: string) =>
  readsPerSecond(execFileSync("fio", fioArguments(uri, { runtime: SECONDS }), { encoding: "utf8" }));

async function main() {
  const rounds = Number(process.argv[2] ?? 3);
  const sandbox = new Sandbox();
  try {
    const { uri } = await startPath(sandbox, 256);
    const ratios: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const ours = fio(uri);
      const bare = await bareEcho();
      ratios.push(ours / bare);
      console.log(`fio ${ours.toFixed(0)} reads a second, bare ws ${bare.toFixed(0)} answers a second`);
    }
    const median = ratios.sort((a, b) => a - b)[ratios.length >> 1]!;
    console.log(`4 KiB random reads, depth ${DEPTH}: ${median.toFixed(2)} of a bare ws connection (median)`);
  } finally {
    await sandbox.end();
  }
}

if (process.argv[2] === "bare") await answerBare(process.argv[3]!);
else await main();
