/**
 * An image on a web server, over 50 ms and 100 Mbit/s: nginx ▸ a relay that takes its time ▸ nbd-serve ▸ gateway ▸ unix socket.
 * A client reads 128 KiB at a time, one after the other; then fio reads 4 KiB at random, 16 at a time. In the same run
 * nbdkit's curl plugin, by itself and with its filters for that purpose, in the place of nbd-serve and the gateway. Requests
 * are those that nginx has had, bytes those that came over the link.
 *
 *     node --import tsx test/bench/url.ts [SECONDS]
 *
 * Default 8 a measurement. It needs the build, nginx, nbdkit, fio and python3-libnbd.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { program, root, Sandbox, until } from "../harness.ts";
import { startFileServer } from "../nginx.ts";
import { forkRelay } from "../relay.ts";
import { attached, attachedAt, startGateway } from "../system/link.ts";
import { RATE } from "./far-link.ts";
import { BLOCK, DEPTH, fioArguments, readsPerSecond } from "./fio.ts";
import { makeImage } from "./path.ts";

const ROUND_TRIP = 50;
const READ = 128 << 10;
const seconds = Number(process.argv[2] ?? 8);

/** Has something serve an image at a URL, and returns its NBD URI. */
type Serve = (sandbox: Sandbox, url: string) => Promise<string>;

const ours: Serve = async (sandbox, url) => {
  const gateway = await startGateway(sandbox);
  sandbox.start(program("nbd-serve"), [url, gateway.url]);
  await attached(gateway);
  return attachedAt(sandbox).uri;
};

const nbdkit =
  (...filters: string[]): Serve =>
  async (sandbox, url) => {
    const socket = sandbox.path("nbdkit.sock");
    const args = filters.map((filter) => `--filter=${filter}`);
    sandbox.start("nbdkit", ["-f", "-r", "-U", socket, ...args, "curl", `url=${url}`]);
    await until("nbdkit listens", () => existsSync(socket));
    return `nbd+unix:///?socket=${socket}`;
  };

interface Use {
  /** What was done a second, and the bytes that a client got. */
  rate: number;
  bytes: number;
}

/** A client that reads 128 KiB at a time, one after the other; by bytes a second. */
async function sequential(sandbox: Sandbox, uri: string): Promise<Use> {
  const reader = join(root, "test/bench/reader.py");
  const args = [reader, uri, "sequential", String(READ), String(seconds)];
  const told = JSON.parse(await sandbox.run("/usr/bin/python3", args)) as { bytes: number; seconds: number };
  return { rate: told.bytes / told.seconds, bytes: told.bytes };
}

/** fio; by reads a second. */
async function random(_sandbox: Sandbox, uri: string): Promise<Use> {
  const limit = { runtime: seconds };
  const rate = readsPerSecond(execFileSync("fio", fioArguments(uri, limit), { encoding: "utf8" }));
  return { rate, bytes: rate * seconds * BLOCK };
}

/** Uses an image over the link, and tells what that took. */
async function measure(image: string, serve: Serve, use: typeof sequential) {
  const sandbox = new Sandbox();
  try {
    const log = sandbox.path("requests.log");
    const { port } = await startFileServer(sandbox, join(image, ".."), { lines: [`access_log ${log};`] });
    const relay = await forkRelay({
      listen: 0,
      to: port,
      roundTrip: ROUND_TRIP,
      rate: RATE,
      isShared: true,
    });
    sandbox.onEnd(() => relay.close());
    const uri = await serve(sandbox, `http://127.0.0.1:${relay.place}/image`);
    const { rate, bytes } = await use(sandbox, uri);
    const { back, connections } = await relay.counts();
    const requests = readFileSync(log, "latin1").split("\n").length - 1;
    return {
      rate,
      cost: `${requests} requests, ${connections} connections, ${(back / bytes).toFixed(2)} times the bytes`,
    };
  } finally {
    await sandbox.end();
  }
}

async function main() {
  const own = new Sandbox();
  try {
    const image = makeImage(own, 128);
    const ways: Record<string, Serve> = {
      "nbd-serve": ours,
      "nbdkit's curl": nbdkit(),
      "nbdkit's curl, readahead and cache": nbdkit("readahead", "cache"),
    };
    for (const [name, serve] of Object.entries(ways)) {
      const { rate, cost } = await measure(image, serve, sequential);
      const part = `${((100 * rate) / RATE).toFixed(0)} % of the link`;
      console.log(`${name}, 128 KiB, one after the other: ${(rate / 1e6).toFixed(2)} MB/s, ${part}; ${cost}`);
    }
    for (const [name, serve] of Object.entries(ways)) {
      const { rate, cost } = await measure(image, serve, random);
      console.log(`${name}, 4 KiB at random, depth ${DEPTH}: ${rate.toFixed(0)} a second; ${cost}`);
    }
  } finally {
    await own.end();
  }
}

await main();
