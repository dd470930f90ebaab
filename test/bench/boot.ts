/**
 * A PC boots a CD that is far away, until user space says its first line: QEMU → nbd+unix → gateway → relay → the page in
 * Chromium, with no round trip and with one of 50 ms. In the same run: the same from a server that answers one
 * request after the other, without read-ahead, through the same relay. All take turns; each figure is the median.
 * The plain server over the long way runs once, at the end, and is stopped when it has had so many seconds.
 *
 *     node --import tsx test/bench/boot.ts [busybox|installer] [--rounds 3] [--patience 90]
 *
 * Needs the build, chromium, qemu-system-x86, grub-pc-bin, grub-common, xorriso and mtools, and .ci/unpack-linux for
 * busybox-static's CD, .ci/unpack-installer for the installer's.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Browser } from "playwright-core";
import { openChromium } from "../browser.ts";
import { root, Sandbox, until } from "../harness.ts";
import { openPage } from "../page/open.ts";
import { forkRelay } from "../relay.ts";
import { attached, attachedAt, startGateway } from "../system/link.ts";
import { type Bootable, busyboxCd, installerCd } from "./bootable.ts";
import { bootFrom } from "./emulated-pc.ts";

const ROUND_TRIP = 50;

/** Milliseconds after which a boot that should work has failed. */
const TOO_LONG = 120_000;

interface Boot {
  /** Milliseconds; undefined when it was stopped. */
  time: number | undefined;
  requests: number;
  bytes: number;
}

async function ours({ iso, line }: Bootable, browser: Browser, roundTrip: number): Promise<Boot> {
  const sandbox = new Sandbox();
  const gateway = await startGateway(sandbox);
  const link = await forkRelay({ listen: 0, to: Number(new URL(gateway.url).port), roundTrip });
  const context = await browser.newContext();
  try {
    const page = await openPage(context, `http://127.0.0.1:${link.place}/`, iso);
    await page.card().serve();
    await attached(gateway);
    const reads = () => page.tab.evaluate<number>('document.querySelector("nbd-media").report.totals.reads');
    const [before, asked] = [await link.counts(), await reads()];
    const time = await bootFrom(sandbox, attachedAt(sandbox).socket, line, TOO_LONG);
    if (time === undefined) throw new Error(`no line of user space in ${TOO_LONG} ms: ${gateway.stderr}`);
    const after = await link.counts();
    const requests = (await reads()) - asked;
    return { time, requests, bytes: after.there - before.there };
  } finally {
    await context.close();
    await link.close();
    await sandbox.end();
  }
}

async function plain({ iso, line }: Bootable, roundTrip: number, patience = TOO_LONG): Promise<Boot> {
  const sandbox = new Sandbox();
  const socket = sandbox.path("plain.sock");
  const server = sandbox.start(process.execPath, [
    join(root, "test/first-generation-server.js"),
    ...[iso, socket, "0"],
  ]);
  await until("the plain server listens", () => existsSync(socket));
  const link = await forkRelay({ listen: sandbox.path("relay.sock"), to: socket, roundTrip });
  try {
    const time = await bootFrom(sandbox, String(link.place), line, patience);
    await server.exit;
    const { reads } = JSON.parse(server.stdout) as { reads: number };
    return { time, requests: reads, bytes: (await link.counts()).back };
  } finally {
    await link.close();
    await sandbox.end();
  }
}

function median(boots: readonly Boot[]): Boot {
  return [...boots].sort((a, b) => a.time! - b.time!)[boots.length >> 1]!;
}

function report(what: string, { time, requests, bytes }: Boot) {
  const seconds = time === undefined ? "stopped" : `${(time / 1000).toFixed(1)} s`;
  console.log(
    `${what.padEnd(14)} ${seconds.padStart(8)} ${Math.round(requests).toString().padStart(6)} requests ` +
      `${(bytes / 1e6).toFixed(1).padStart(6)} MB`,
  );
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    patience: { type: "string", default: "90" },
  },
});
const patience = Number(values.patience) * 1000;
const sandbox = new Sandbox();
const browser = await openChromium();
try {
  const cd = positionals[0] === "installer" ? installerCd(sandbox) : busyboxCd(sandbox);
  const near: Boot[] = [];
  const far: Boot[] = [];
  const plainNear: Boot[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    near.push(await ours(cd, browser, 0));
    far.push(await ours(cd, browser, ROUND_TRIP));
    plainNear.push(await plain(cd, 0));
    report("ours, 0 ms", near.at(-1)!);
    report(`ours, ${ROUND_TRIP} ms`, far.at(-1)!);
    report("plain, 0 ms", plainNear.at(-1)!);
  }
  const plainFar = await plain(cd, ROUND_TRIP, patience);
  console.log(`${cd.name}, medians of ${values.rounds}:`);
  const [nearest, farthest, plainNearest] = [median(near), median(far), median(plainNear)];
  report("ours, 0 ms", nearest);
  report(`ours, ${ROUND_TRIP} ms`, farthest);
  report("plain, 0 ms", plainNearest);
  report(`plain, ${ROUND_TRIP} ms`, plainFar);
  const times = (a: number, b: Boot) => (a / b.time!).toFixed(2);
  console.log(`ours takes ${times(farthest.time!, nearest)} times as long over ${ROUND_TRIP} ms as over 0`);
  if (plainFar.time !== undefined) {
    console.log(`plain takes ${times(plainFar.time, plainNearest)} times as long`);
  } else {
    const part = ((100 * plainFar.requests) / plainNearest.requests).toFixed(0);
    console.log(
      `plain takes more than ${times(patience, plainNearest)} times as long: after ${values.patience} s it had ` +
        `${plainFar.requests} of ${plainNearest.requests} reads, ${part} %`,
    );
  }
} finally {
  await browser.close();
  await sandbox.end();
}
