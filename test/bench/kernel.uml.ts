/** Runs in User-Mode Linux: see kernel.ts. */
import { writeFileSync } from "node:fs";
import { program, type Running, Sandbox, until } from "../harness.ts";
import { deviceState, free, onDevice } from "../system/kernel/guest.ts";
import { pattern, throughGateway, writeConfig } from "../system/link.ts";
import { startWebsocketd } from "../websocketd.ts";

/** A small installer, and what of it is read while Node compiles what reads it. */
const SIZE = 512 << 20;
const FIRST = 128 << 20;

interface Figures {
  /** MB/s of direct reads of 1 MiB, two at a time, in requests as long as each way has them by itself: first, and in all. */
  first: number;
  sequential: number;
  /** Direct reads of 4 KiB a second, one at a time. */
  random1: number;
  /** The same, 32 at a time. */
  random32: number;
}

async function fio(sandbox: Sandbox, args: readonly string[]): Promise<{ bw_bytes: number; iops: number }> {
  const common = [
    "--name=read",
    "--filename=/dev/nbd0",
    "--direct=1",
    "--ioengine=libaio",
    "--output-format=json",
  ];
  const output = await sandbox.run("fio", [...common, ...args]);
  const { jobs } = JSON.parse(output.slice(output.indexOf("{"))) as {
    jobs: { read: { bw_bytes: number; iops: number } }[];
  };
  return jobs[0]!.read;
}

async function measure(sandbox: Sandbox): Promise<Figures> {
  const timed = (depth: number) =>
    fio(sandbox, [
      "--rw=randread",
      "--bs=4k",
      `--iodepth=${depth}`,
      "--runtime=5",
      "--time_based",
      `--size=${SIZE}`,
    ]);
  const sequentially = async (offset: number, length: number) => {
    const range = [`--offset=${offset}`, `--size=${length}`];
    const { bw_bytes } = await fio(sandbox, ["--rw=read", "--bs=1m", "--iodepth=2", ...range]);
    return bw_bytes / 1e6;
  };
  const first = await sequentially(0, FIRST);
  const rest = await sequentially(FIRST, SIZE - FIRST);
  const sequential = SIZE / (FIRST / first + (SIZE - FIRST) / rest);
  const [one, many] = [await timed(1), await timed(32)];
  return { first, sequential, random1: one.iops, random32: many.iops };
}

const attached = () => until("the device is there", () => deviceState().size === SIZE, 120_000);

/** Each way to the device; gives what ends it. */
const ways: Record<string, (sandbox: Sandbox, image: string) => Promise<Running>> = {
  async "nbdkit, unix socket, nbd-client"(sandbox, image) {
    const socket = sandbox.path("nbdkit.sock");
    const nbdkit = sandbox.start("nbdkit", ["-f", "-r", "-U", socket, "file", image]);
    await attachWithClient(sandbox, socket);
    return nbdkit;
  },
  async "nbd-serve, WebSocket, nbd-gateway"(sandbox, image) {
    const { gateway } = await throughGateway(sandbox, image, { keys: onDevice() });
    return gateway;
  },
  async "nbd-serve, WebSocket, websocketd, nbd-proxy"(sandbox, image) {
    const config = writeConfig(sandbox, onDevice());
    return behindWebsocketd(sandbox, image, [program("nbd-proxy"), "--config", config]);
  },
  async "nbd-serve, WebSocket, websocketd, socat, nbd-client"(sandbox, image) {
    const socket = sandbox.path("relay.sock");
    const running = await behindWebsocketd(sandbox, image, ["socat", "-", `UNIX-LISTEN:${socket}`]);
    await attachWithClient(sandbox, socket);
    return running;
  },
};

async function behindWebsocketd(sandbox: Sandbox, image: string, command: readonly string[]) {
  const websocketd = await startWebsocketd(sandbox, command);
  const origin = websocketd.page.replace(/\/$/, "");
  sandbox.start(program("nbd-serve"), ["--origin", origin, image, websocketd.endpoint]);
  return websocketd;
}

async function attachWithClient(sandbox: Sandbox, socket: string) {
  await until(
    "nbd-client attaches",
    async () => (await sandbox.start("nbd-client", ["-unix", socket, "/dev/nbd0"]).exit) === 0,
    120_000,
  );
}

for (const [name, start] of Object.entries(ways)) {
  const sandbox = new Sandbox();
  const image = sandbox.path("disk.img");
  writeFileSync(image, pattern(SIZE));
  const running = await start(sandbox, image);
  await attached();
  console.log(JSON.stringify({ name, ...(await measure(sandbox)) }));
  await sandbox.run("nbd-client", ["-d", "/dev/nbd0"]);
  await free();
  running.kill();
  await running.exit;
  await sandbox.end();
}
