/**
 * Many disks at once: 100 configurations of one gateway, each with a session. What an idle one takes, how a few, and then
 * all of them, share the processor when they are read, and what 50 readers of /events cost. The gateway runs in a process of its
 * own; the images are served by this one.
 *
 *     node --expose-gc --import tsx test/bench/many.ts [SESSIONS] [SECONDS]     (default 100 and 10; needs the build)
 */
import { existsSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { connectExport, join, memoryExport, nbdServer, webSocket } from "../../src/node/index.ts";
import { program, Sandbox, until } from "../harness.ts";
import { median } from "./median.ts";
import { MIB, memory, processorTime } from "./path.ts";

const sessions = Number(process.argv[2] ?? 100);
const seconds = Number(process.argv[3] ?? 10);
const LISTENERS = 50;

/** Bytes of the image that all serve, of the part of it that is read at a time, and of a read. */
const SIZE = 1024 * MIB;
const PART = 256 * MIB;
const READ = 1 << 14;

const sandbox = new Sandbox();
const names = Array.from({ length: sessions }, (_, i) => `disk-${i}`);
const socketOf = (name: string) => sandbox.path(`${name}.sock`);
const image = memoryExport(new Uint8Array(SIZE), { readOnly: true });

/**
 * Bytes that were read of each configuration in so many seconds, with four reads in flight each.
 * @param part which part of the image: one that was read before may be kept of some
 */
async function readAll(of: readonly string[], part: number): Promise<number[]> {
  const end = performance.now() + seconds * 1000;
  return Promise.all(
    of.map(async (name) => {
      const disk = await connectExport(`nbd+unix:///?socket=${socketOf(name)}`);
      let bytes = 0;
      const reader = async (from: number) => {
        for (let at = from; performance.now() < end; at = (at + 4 * READ) % PART) {
          const { byteLength } = await disk.read(part * PART + at, READ);
          bytes += byteLength;
        }
      };
      await Promise.all([0, 1, 2, 3].map((i) => reader(i * READ)));
      await disk.close();
      return bytes;
    }),
  );
}

function tellReaders(what: string, bytes: readonly number[]): void {
  const rate = (value: number) => (value / MIB / seconds).toFixed(1);
  const [slowest, fastest] = [Math.min(...bytes), Math.max(...bytes)];
  const whole = bytes.reduce((all, one) => all + one, 0);
  console.log(
    `${what}: ${rate(whole)} MiB/s in all; each ${rate(slowest)} to ${rate(fastest)}, ` +
      `median ${rate(median([...bytes]))}: the slowest has ${(slowest / fastest).toFixed(2)} of the fastest`,
  );
}

try {
  const config = sandbox.path("config.json");
  const configurations = Object.fromEntries(
    names.map((name) => [name, { listen: `unix:${socketOf(name)}` }]),
  );
  writeFileSync(
    config,
    JSON.stringify({ "state-hook": "/nowhere", "max-websockets-per-address": 4096, configurations }),
  );
  const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
  await until("the gateway listens", () => gateway.stdout.includes("\n"), 60_000);
  const url = gateway.stdout.trim();
  const own = () => memory(gateway.pid, "VmRSS");
  const alone = own();
  console.log(`gateway without a session: ${alone} MiB`);

  for (const name of names) {
    const socket = new WebSocket(`${url.replace("http", "ws")}${name}`);
    join(webSocket(socket), nbdServer(image, { name })).catch(() => {});
    await until("the disk is there", () => existsSync(socketOf(name)), 60_000);
  }
  // What was used at the start is given back within half a minute.
  await sleep(40_000);
  const idle = own();
  console.log(`${sessions} idle sessions: ${idle} MiB, ${((idle - alone) / sessions).toFixed(2)} MiB each`);
  let before = processorTime(gateway.pid);
  await sleep(10_000);
  console.log(`processor time of these: ${(processorTime(gateway.pid) - before) / 10} ms a second`);

  tellReaders("4 are read", await readAll(names.slice(0, 4), 0));
  tellReaders("all are read", await readAll(names, 1));
  console.log(`most memory so far: ${memory(gateway.pid, "VmHWM")} MiB`);

  let received = 0;
  const leaving = new AbortController();
  const listeners = Array.from({ length: LISTENERS }, async () => {
    const { body } = await fetch(new URL("events", url), { signal: leaving.signal });
    for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) received += chunk.byteLength;
  });
  for (const one of listeners) one.catch(() => {});
  await sleep(2000);
  [before, received] = [processorTime(gateway.pid), 0];
  await sleep(10_000);
  const quiet = (processorTime(gateway.pid) - before) / 10;
  console.log(
    `${LISTENERS} readers of /events while nothing happens: ${quiet} ms a second, ${received / 10} bytes a second`,
  );
  received = 0;
  tellReaders(`all are read, beside ${LISTENERS} readers of /events`, await readAll(names, 2));
  console.log(
    `these were sent ${(received / seconds / 1e6).toFixed(1)} MB/s; most memory: ${memory(gateway.pid, "VmHWM")} MiB`,
  );
  leaving.abort();
} finally {
  await sandbox.end();
}
process.exit(0);
