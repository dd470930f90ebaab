/**
 * A disk out of a tab that nobody sees, for a long time: a browser with a window on a display of its own, in which another tab
 * lies over the page that serves. Each minute the image is copied once, as fast as it goes; in between it is read at random, 4 KiB at a time.
 * Told each minute: the rate of the copy, the median time of a random read, and the memory of all of the browser's processes.
 *
 *     node --import tsx test/bench/hidden.ts [chromium|firefox] [MINUTES] [MIB]
 *
 * Default: Chromium, 30 minutes, 256 MiB. Needs the build, libnbd-bin, xvfb and the browser.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { launch } from "puppeteer-core";
import { connectExport } from "../../src/node/index.ts";
import { chromiumSwitches } from "../browser.ts";
import { program, Sandbox, until } from "../harness.ts";
import { FirefoxTab } from "../page/firefox.ts";
import { MediaPage } from "../page/media-page.ts";
import { median } from "./median.ts";
import { makeImage, memory } from "./path.ts";

const name = process.argv[2] ?? "chromium";
const minutes = Number(process.argv[3] ?? 30);
const mebibytes = Number(process.argv[4] ?? 256);

const READ = 4096;
/** Milliseconds between two random reads. */
const PAUSE = 20;

/** What puppeteer switches off, and a person's browser does. */
const UNTYPICAL = [
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
];

const sandbox = new Sandbox();

/** A display without a screen. */
async function startDisplay(): Promise<{ display: string; end(): void }> {
  const server = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x900x24"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const [number] = (await once(server.stdio[3]!, "data")) as [Buffer];
  return { display: `:${String(number).trim()}`, end: () => server.kill() };
}

function openBrowser(display: string) {
  const common = { headless: false, networkEnabled: false, env: { ...process.env, DISPLAY: display } };
  if (name === "firefox")
    return launch({ ...common, browser: "firefox", executablePath: "/usr/bin/firefox-esr" });
  return launch({
    ...common,
    executablePath: "/usr/bin/chromium",
    args: chromiumSwitches,
    ignoreDefaultArgs: UNTYPICAL,
  });
}

/** Mebibytes of a process and of all that it has started. */
function memoryOfAll(pid: number): number {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const [, parent] = /\) \S (\d+) /.exec(readFileSync(`/proc/${entry}/stat`, "utf8"))!;
      parents.set(Number(entry), Number(parent));
    } catch {
      // It has gone.
    }
  }
  const isOurs = (one: number | undefined): boolean =>
    one === pid || (one !== undefined && isOurs(parents.get(one)));
  return [...parents.keys()].filter(isOurs).reduce((sum, one) => sum + proportional(one), 0);
}

/** Mebibytes of a process; of those that it shares with others its part. */
function proportional(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))![1]) / 1024;
  } catch {
    return 0;
  }
}

const { display, end } = await startDisplay();
const browser = await openBrowser(display);
try {
  const image = makeImage(sandbox, mebibytes);
  const socket = sandbox.path("nbd.sock");
  const config = sandbox.path("config.json");
  writeFileSync(
    config,
    JSON.stringify({ "state-hook": "/nowhere", configurations: { bench: { listen: `unix:${socket}` } } }),
  );
  const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
  await until("the gateway listens", () => gateway.stdout.includes("\n"), 60_000);
  const tab = await FirefoxTab.of(await browser.newPage());
  const page = await MediaPage.open(tab, gateway.stdout.trim());
  await page.card().choose(image);
  await page.card().serve();
  await until("the disk is there", () => existsSync(socket), 60_000);
  const other = await browser.newPage();
  await other.bringToFront();
  await until(
    "the page is hidden",
    async () => (await tab.evaluate("document.visibilityState")) === "hidden",
  );

  const uri = `nbd+unix:///?socket=${socket}`;
  for (let minute = 1; minute <= minutes; minute++) {
    const next = performance.now() + 60_000;
    const began = performance.now();
    await sandbox.run("nbdcopy", [uri, "null:"]);
    const rate = mebibytes / ((performance.now() - began) / 1000);
    const disk = await connectExport(uri);
    const times: number[] = [];
    while (performance.now() < next) {
      const at = Math.floor((Math.random() * disk.size) / READ) * READ;
      const sent = performance.now();
      await disk.read(at, READ);
      times.push(performance.now() - sent);
      await sleep(PAUSE);
    }
    await disk.close();
    const seen = await tab.evaluate<string>("document.visibilityState");
    console.log(
      `minute ${minute}: ${rate.toFixed(0)} MiB/s; a random read ${median(times).toFixed(2)} ms; ` +
        `browser ${memoryOfAll(browser.process()!.pid!).toFixed(0)} MiB, gateway ${memory(gateway.pid, "VmRSS")} MiB; ${seen}`,
    );
  }
  console.log(`losses: ${gateway.stderr.match(/the link is lost/g)?.length ?? 0}`);
} finally {
  await browser.close();
  end();
  await sandbox.end();
}
process.exit(0);
