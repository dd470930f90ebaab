/**
 * An image out of a browser, through a gateway and a unix socket: copied by nbdcopy, and read at random by fio, 4 KiB at
 * a time, 16 at once. In the same run, taking turns:
 *
 * - worker: the engine in a Worker, as the page serves
 * - page: the engine in the page, as where no Worker can be made
 * - class: NBDServer in the page, out of the classic script
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
import { servingScript } from "../serving-page.ts";
import { DEPTH, fioArguments, readsPerSecond } from "./fio.ts";
import { median } from "./median.ts";
import { MIB, memory } from "./path.ts";

const ROUNDS = 3;
const RANDOM_MIB = 256;
const WARM_SECONDS = 5;
/** So many reads are what "cold" means: a sixteenth of the blocks, so that few are read twice. */
const COLD_READS = 4096;
/** Bytes of the cache where the file is copied: what the page has unless one says otherwise. */
const CACHE = 16 * MIB;

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

async function openPage(browser: Browser, url: string, image: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  // The gateway's own page is not what is measured.
  await page.evaluate(`document.body.innerHTML = '<input id="file" type="file">'`);
  const input = await page.$("input#file");
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
    const page = await openPage(this.#browser, url, image);
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

/** How the image is served, with so much of a cache, in bytes. */
type Way = (cache: number) => (page: Page, url: string) => Promise<unknown>;

function byEngine(isInPage: boolean): Way {
  return (cache) => async (page, url) => {
    await page.evaluate(await servingScript());
    const options = { isInPage, cache, script: "js/serving-worker.js" };
    await page.evaluate(`void serveIn(${JSON.stringify(url)}, ${JSON.stringify(options)})`);
  };
}

const ways: Record<"worker" | "page" | "class", Way> = {
  worker: byEngine(false),
  page: byEngine(true),
  class: (cache) => async (page, url) => {
    await page.addScriptTag({ url: "js/nbd.js" });
    const file = 'document.getElementById("file").files[0]';
    await page.evaluate(`void new NBDServer(${JSON.stringify(url)}, ${file}, { cache: ${cache} }).start()`);
  },
};
const names = Object.keys(ways) as (keyof typeof ways)[];

async function plain(page: Page, url: string) {
  await page.evaluate(script("plain"));
  await page.evaluate(`servePlain(${JSON.stringify(url)}, document.getElementById("file").files[0])`);
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
    const page = await openPage(browser, `http://${address}/`, image);
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
    await page.evaluate(
      `void sendBare("ws://${address}/", document.getElementById("file").files[0], "${kind}")`,
    );
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
  const rates: Record<keyof typeof ways | "bare" | "blob" | "plain", number[]> = {
    worker: [],
    page: [],
    class: [],
    bare: [],
    blob: [],
    plain: [],
  };
  const nbdcopy = async () => bytes / (await seconds(() => run("nbdcopy", [path.uri, "null:"])));
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) {
      await path.with(image, ways[name](CACHE), async (page) => {
        const told = await watchMemory(page);
        rates[name].push(await nbdcopy());
        console.log(`${name}: ${await told()}, gateway ${path.memory("VmHWM")} MiB`);
      });
    }
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
  for (const name of names) {
    const ratio = (to: number[]) => median(rates[name].map((rate, i) => rate / to[i]!)).toFixed(2);
    console.log(
      `${mebibytes} MiB by nbdcopy, ${name}: ${(median(rates[name]) / 1e6).toFixed(0)} MB/s, ${ratio(rates.bare)} of the bare page, ` +
        `${ratio(rates.blob)} of the bare page with Blobs, ${ratio(rates.plain)} times the plain one (medians)`,
    );
  }
}

/** Reads a second. */
async function fio(uri: string, limit: Parameters<typeof fioArguments>[1]): Promise<number> {
  return readsPerSecond((await run("fio", fioArguments(uri, limit))).stdout);
}

async function randoms(path: Path, sandbox: Sandbox) {
  const image = sandbox.path("small.img");
  await randomImage(image, RANDOM_MIB * MIB);
  const rates = new Map<string, number[]>();
  const note = (what: string, rate: number) => rates.set(what, [...(rates.get(what) ?? []), rate]);
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) {
      await path.with(image, ways[name](RANDOM_MIB * MIB), async () => {
        note(`${name} cold`, await fio(path.uri, { number_ios: COLD_READS }));
        await run("nbdcopy", [path.uri, "null:"]);
        note(`${name} warm`, await fio(path.uri, { runtime: WARM_SECONDS }));
      });
    }
    note("plain", await path.with(image, plain, () => fio(path.uri, { number_ios: COLD_READS })));
    console.log(
      [...rates].map(([what, values]) => `${what} ${values.at(-1)!.toFixed(0)} reads/s`).join(", "),
    );
  }
  const ofPlain = (values: number[]) =>
    median(values.map((rate, i) => rate / rates.get("plain")![i]!)).toFixed(1);
  console.log(`4 KiB random reads of ${RANDOM_MIB} MiB, depth ${DEPTH} (medians):`);
  for (const [what, values] of rates) {
    console.log(`${what}: ${median(values).toFixed(0)} reads/s, ${ofPlain(values)} times the plain page`);
  }
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
