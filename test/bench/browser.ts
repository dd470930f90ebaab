/**
 * An image out of a browser, through a gateway and a unix socket: copied by nbdcopy, and read at random by fio, 4 KiB at
 * a time, 16 at once. In the same run, taking turns:
 *
 * - bare: a page that reads the same File as one stream and sends it over a WebSocket, without any protocol
 * - plain: a page that serves as those of first-generation web consoles do, one read after the other
 *
 *     node --import tsx test/bench/browser.ts [chromium|firefox] [copy|random] [MIB]
 *
 * Default: Chromium, both, 1024 MiB. Needs the build, libnbd-bin, fio and the browser.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { type Browser, launch, type Page } from "puppeteer-core";
import { WebSocketServer } from "ws";
import { chromiumSwitches } from "../browser.ts";
import { program, type Running, Sandbox, until } from "../harness.ts";
import { randomImage } from "../image.ts";
import { partOf } from "../page/controls.ts";
import { inPage } from "../page/tab.ts";
import { DEPTH, fioArguments, readsPerSecond } from "./fio.ts";
import { median } from "./median.ts";
import { MIB, memory } from "./path.ts";

const ROUNDS = 3;
const RANDOM_MIB = 256;
const WARM_SECONDS = 5;
/** So many reads are what "cold" means: a sixteenth of the blocks, so that few are read twice. */
const COLD_READS = 4096;

const run = promisify(execFile);
const script = (name: string) => readFileSync(new URL(`pages/${name}.js`, import.meta.url), "utf8");

function openBrowser(name: string): Promise<Browser> {
  // Whoever watches the network is told each message of a WebSocket, as base64: that takes most of the time.
  const common = { headless: true, networkEnabled: false };
  if (name === "firefox") {
    return launch({ ...common, browser: "firefox", executablePath: "/usr/bin/firefox-esr" });
  }
  return launch({
    ...common,
    executablePath: "/usr/bin/chromium",
    args: [...chromiumSwitches, "--enable-precise-memory-info"],
  });
}

/** Where our page has its field and its button, and the bare page its field. */
const OURS = { file: inPage(partOf, null, "file"), serve: inPage(partOf, null, "serve") };
const BARE = 'document.getElementById("file")';

/** Opens a page, and chooses a file for its field. */
async function openPage(browser: Browser, url: string, image: string, field: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.waitForFunction(field);
  const input = (await page.evaluateHandle(field)).asElement();
  await (input as unknown as { uploadFile(path: string): Promise<void> }).uploadFile(image);
  return page;
}

/** What serves an image from a page, how `serve` does it, and what reads it. */
class Path {
  readonly uri: string;
  readonly #socket: string;
  readonly #browser: Browser;
  readonly #gateway: Running;

  constructor(browser: Browser, sandbox: Sandbox) {
    this.#browser = browser;
    this.#socket = sandbox.path("nbd.sock");
    this.uri = `nbd+unix:///?socket=${this.#socket}`;
    const config = sandbox.path("config.json");
    const configurations = { bench: { listen: `unix:${this.#socket}` } };
    writeFileSync(config, JSON.stringify({ configurations, "state-hook": "/nowhere" }));
    this.#gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
  }

  /** Memory of the gateway in MiB. */
  memory(field: "VmRSS" | "VmHWM"): number {
    return memory(this.#gateway.pid, field);
  }

  async with<T>(
    image: string,
    serve: (page: Page, url: string) => Promise<unknown>,
    use: Use<T>,
  ): Promise<T> {
    await until("the gateway listens", () => this.#gateway.stdout.includes("\n"));
    const url = this.#gateway.stdout.trim();
    const page = await openPage(this.#browser, url, image, OURS.file);
    await serve(page, url.replace("http", "ws"));
    await until("the export is offered", () => existsSync(this.#socket));
    try {
      return await use(page);
    } finally {
      await page.close();
      await until("the session has ended", () => !existsSync(this.#socket));
    }
  }
}

type Use<T> = (page: Page) => Promise<T>;

/** As a person does it. */
async function ours(page: Page) {
  await page.waitForFunction(`!${OURS.serve}.disabled`);
  await page.evaluate(`${OURS.serve}.click()`);
}

/** As another page does it, which can say how much memory the cache may have. */
function oursWithCache(cache: number) {
  return async (page: Page, url: string) => {
    await page.addScriptTag({ url: "js/nbd.js" });
    const file = `${OURS.file}.files[0]`;
    await page.evaluate(`void new NBDServer(${JSON.stringify(url)}, ${file}, { cache: ${cache} }).start()`);
  };
}

async function plain(page: Page, url: string) {
  await page.evaluate(script("plain"));
  await page.evaluate(`servePlain(${JSON.stringify(url)}, ${OURS.file}.files[0])`);
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** What the bare page sends goes here, and nowhere. */
async function startSink() {
  const http = createServer((request, response) => {
    response.setHeader("Content-Type", request.url === "/bare.js" ? "text/javascript" : "text/html");
    response.end(
      request.url === "/bare.js"
        ? script("bare")
        : '<input id="file" type="file"><script src="bare.js"></script>',
    );
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const sockets = new WebSocketServer({ server: http, perMessageDeflate: false, maxPayload: 0 });
  const address = `127.0.0.1:${(http.address() as AddressInfo).port}`;

  /** Bytes a second. */
  async function rate(browser: Browser, image: string, kind: "bytes" | "blob"): Promise<number> {
    const page = await openPage(browser, `http://${address}/`, image, BARE);
    let bytes = 0;
    const elapsed = new Promise<number>((resolve) => {
      sockets.once("connection", (socket) => {
        const start = performance.now();
        socket.on("message", (data: Buffer) => {
          bytes += data.byteLength;
        });
        socket.on("close", () => resolve((performance.now() - start) / 1000));
      });
    });
    await page.evaluate(`void sendBare("ws://${address}/", ${BARE}.files[0], "${kind}")`);
    const time = await elapsed;
    await page.close();
    return bytes / time;
  }

  return { rate, close: () => http.close() };
}

/** Looks at the memory of a page while it works: its heap, buffers included, and its process. Chromium only. */
async function watchMemory(page: Page): Promise<() => Promise<string>> {
  if (!(await page.browser().version()).includes("Chrome")) return async () => "memory not measured";
  const session = await page.browser().target().createCDPSession();
  const renderers = async () => {
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    return processInfo.filter(({ type }) => type === "renderer");
  };
  const before = new Map((await renderers()).map(({ id, cpuTime }) => [id, cpuTime]));
  await page.evaluate(`
    var peak = 0;
    setInterval(() => { peak = Math.max(peak, performance.memory.usedJSHeapSize); }, 50);
  `);
  return async () => {
    const worked = ({ id, cpuTime }: { id: number; cpuTime: number }) => cpuTime - (before.get(id) ?? 0);
    const renderer = (await renderers()).reduce((a, b) => (worked(a) > worked(b) ? a : b));
    const peak = (await page.evaluate("peak")) as number;
    return `the page's heap at most ${(peak / MIB).toFixed(0)} MiB, its process ${memory(renderer.id, "VmHWM")} MiB`;
  };
}

async function copies(browser: Browser, path: Path, sandbox: Sandbox, mebibytes: number) {
  const image = sandbox.path("large.img");
  const bytes = mebibytes * MIB;
  await randomImage(image, bytes);
  const sink = await startSink();
  const rates: Record<"ours" | "bare" | "blob" | "plain", number[]> = {
    ours: [],
    bare: [],
    blob: [],
    plain: [],
  };
  const nbdcopy = async () => bytes / (await seconds(() => run("nbdcopy", [path.uri, "null:"])));
  for (let round = 0; round < ROUNDS; round++) {
    await path.with(image, ours, async (page) => {
      const told = await watchMemory(page);
      rates.ours.push(await nbdcopy());
      console.log(`${await told()}, gateway ${path.memory("VmHWM")} MiB`);
    });
    rates.bare.push(await sink.rate(browser, image, "bytes"));
    rates.blob.push(await sink.rate(browser, image, "blob"));
    rates.plain.push(await path.with(image, plain, nbdcopy));
    console.log(
      Object.entries(rates)
        .map(([name, values]) => `${name} ${(values.at(-1)! / 1e6).toFixed(0)} MB/s`)
        .join(", "),
    );
  }
  sink.close();
  const ratio = (to: number[]) => median(rates.ours.map((rate, i) => rate / to[i]!)).toFixed(2);
  console.log(
    `${mebibytes} MiB by nbdcopy: ${(median(rates.ours) / 1e6).toFixed(0)} MB/s, ${ratio(rates.bare)} of the bare page, ` +
      `${ratio(rates.blob)} of the bare page with Blobs, ${ratio(rates.plain)} times the plain one (medians)`,
  );
}

/** Reads a second. */
async function fio(uri: string, limit: Parameters<typeof fioArguments>[1]): Promise<number> {
  return readsPerSecond((await run("fio", fioArguments(uri, limit))).stdout);
}

async function randoms(path: Path, sandbox: Sandbox) {
  const image = sandbox.path("small.img");
  await randomImage(image, RANDOM_MIB * MIB);
  const rates: Record<"cold" | "warm" | "plain", number[]> = { cold: [], warm: [], plain: [] };
  for (let round = 0; round < ROUNDS; round++) {
    await path.with(image, oursWithCache(RANDOM_MIB * MIB), async () => {
      rates.cold.push(await fio(path.uri, { number_ios: COLD_READS }));
      await run("nbdcopy", [path.uri, "null:"]);
      rates.warm.push(await fio(path.uri, { runtime: WARM_SECONDS }));
    });
    rates.plain.push(await path.with(image, plain, () => fio(path.uri, { number_ios: COLD_READS })));
    console.log(
      Object.entries(rates)
        .map(([name, values]) => `${name} ${values.at(-1)!.toFixed(0)} reads/s`)
        .join(", "),
    );
  }
  const ratio = (of: number[]) => median(of.map((rate, i) => rate / rates.plain[i]!)).toFixed(1);
  console.log(
    `4 KiB random reads of ${RANDOM_MIB} MiB, depth ${DEPTH}: warm ${ratio(rates.warm)}, cold ${ratio(rates.cold)} ` +
      "times the plain page (medians)",
  );
}

const words = process.argv.slice(2);
const name = words.includes("firefox") ? "firefox" : "chromium";
const mebibytes = Number(words.find((word) => /^\d+$/.test(word)) ?? 1024);
const sandbox = new Sandbox();
const browser = await openBrowser(name);
try {
  const path = new Path(browser, sandbox);
  if (!words.includes("random")) await copies(browser, path, sandbox, mebibytes);
  if (!words.includes("copy")) await randoms(path, sandbox);
} finally {
  await browser.close();
  await sandbox.end();
}
