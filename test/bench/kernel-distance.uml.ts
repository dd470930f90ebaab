/** Runs in User-Mode Linux: see kernel-distance.ts. Prints a `Row` a line. */
import { Sandbox, until } from "../harness.ts";
import { joinNetwork, NETWORK } from "../system/kernel/beside.ts";
import { deviceState, free, onDevice, queueSettings } from "../system/kernel/guest.ts";
import { startGateway } from "../system/link.ts";
import { type Link, RATE, ROUND_TRIPS } from "./far-link.ts";
import { isThere, start, stop } from "./far-side.ts";

/** What a reader got over a link, in MB/s. */
export interface Row {
  link: Link;
  ours: number;
  /** Of a stream without a protocol. */
  bare: number;
  /** Of the plain server, through the page cache. */
  plain: number;
  /** Of the plain server, past the page cache. */
  direct: number;
}

/** Milliseconds for what takes a moment where nothing is emulated. */
const PATIENCE = 60_000;

const DEVICE = "/dev/nbd0";

/** Reads 128 KiB at a time; MB/s by dd's own clock, as it takes a while to start here. */
async function read(source: string, mebibytes: number, flag: "fullblock" | "direct" = "fullblock") {
  const dd = `dd of=/dev/null bs=128k count=${mebibytes * 8} iflag=${flag} < ${source} 2>&1`;
  const said = await sandbox.run("bash", ["-c", dd]);
  const [, bytes, seconds] = /^(\d+) bytes.* copied, ([\d.e-]+) s/m.exec(said)!;
  return Number(bytes) / 1e6 / Number(seconds);
}

/** Waits until the device is as it was before it was attached: what the next one gets must be the kernel's own. */
async function detached() {
  await stop();
  await free();
  await until("the queue is as before", () => JSON.stringify(queueSettings()) === queue, PATIENCE);
}

async function ours(link: Link, mebibytes: number): Promise<number> {
  const sessions = () => gateway.stderr.split(` on ${DEVICE}`).length;
  const before = sessions();
  await start({ what: "nbd-serve", link, gateway: Number(new URL(gateway.url).port) });
  await until("the export is attached", () => sessions() > before, PATIENCE);
  const rate = await read(DEVICE, mebibytes);
  await detached();
  return rate;
}

async function plain(link: Link, mebibytes: number, flag?: "direct"): Promise<number> {
  const port = await start({ what: "plain server", link });
  await sandbox.run("nbd-client", [NETWORK.beside, `${port}`, DEVICE]);
  await until("the device is there", () => deviceState().size > 0, PATIENCE);
  const rate = await read(DEVICE, mebibytes, flag);
  await sandbox.run("nbd-client", ["-d", DEVICE]);
  await detached();
  return rate;
}

async function bare(link: Link, mebibytes: number): Promise<number> {
  const port = await start({ what: "bare stream", link });
  const rate = await read(`/dev/tcp/${NETWORK.beside}/${port}`, mebibytes);
  await stop();
  return rate;
}

const sandbox = new Sandbox();
const queue = JSON.stringify(queueSettings());
joinNetwork();
await until("the far side is there", isThere, PATIENCE);
const gateway = await startGateway(sandbox, onDevice(), { host: NETWORK.loopback });
await ours({ roundTrip: 0 }, 256);

const capped = ROUND_TRIPS.map((roundTrip) => ({ link: { roundTrip, rate: RATE }, mebibytes: 96 }));
for (const { link, mebibytes } of [...capped, { link: { roundTrip: 50 }, mebibytes: 256 }]) {
  const row: Row = {
    link,
    ours: await ours(link, mebibytes),
    bare: await bare(link, mebibytes / 2),
    plain: await plain(link, 24),
    direct: await plain(link, 6, "direct"),
  };
  console.log(JSON.stringify(row));
}
await sandbox.end();
