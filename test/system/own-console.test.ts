/** A page and a server that are not ours, as the documents quote them: test/examples/console. */
import { existsSync, readFileSync } from "node:fs";
import { chmod, copyFile, cp, mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { delimiter, join } from "node:path";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { nbdClient, socketTransport } from "../../src/node/index.ts";
import { failure } from "../bytes.ts";
import { needing, program, type Running, root, Sandbox, suite, until, within } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { startChromium } from "../page/chromium.ts";
import { startFirefox } from "../page/firefox.ts";
import type { Browser, Tab } from "../page/tab.ts";
import { freePort } from "../websocketd.ts";

interface Context {
  sandbox: Sandbox;
  console: Console;
}

const tests = suite<Context>("a page and a server that are not ours");

const SIZE = 10_000_001;

/** The server of the example, in a folder of its own, with the image that its page offers. */
class Console {
  readonly #sandbox: Sandbox;
  readonly #folder: string;
  readonly image: string;
  digest = "";
  port = 0;
  server!: Running;

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
    this.#folder = sandbox.path("console");
    this.image = sandbox.path("image.img");
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get endpoint(): string {
    return `ws://127.0.0.1:${this.port}/media/0`;
  }

  get socket(): string {
    return this.#sandbox.path("nbd.sock");
  }

  async start(): Promise<void> {
    this.digest = await randomImage(this.image, SIZE);
    await cp(join(root, "test/examples/console"), this.#folder, { recursive: true });
    await copyFile(join(root, "dist/browser/nbd-proxy.js"), join(this.#folder, "nbd-proxy.js"));
    await copyFile(join(root, "dist/web/js/nbd.js"), join(this.#folder, "nbd.js"));
    await symlink(join(root, "node_modules"), join(this.#folder, "node_modules"));
    const bin = this.#sandbox.path("bin");
    await mkdir(bin);
    await symlink(program("nbd-proxy"), join(bin, "nbd-proxy"));
    await this.#addHook();
    this.port = await freePort();
    this.server = this.#sandbox.start(process.execPath, ["server.mjs"], {
      cwd: this.#folder,
      env: {
        PORT: String(this.port),
        PATH: [bin, process.env.PATH].join(delimiter),
        RUNTIME_DIRECTORY: this.#sandbox.folder,
      },
    });
    await until("the server listens", () => this.server.stdout.includes(`open ${this.origin}/`));
  }

  async #addHook(): Promise<void> {
    const hook = this.#sandbox.path("hook");
    await writeFile(hook, `#!/bin/sh\necho "$1" >>${this.#sandbox.path("hook.log")}\n`);
    await chmod(hook, 0o755);
    const path = join(this.#folder, "config.json");
    const config = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...config, "state-hook": hook }));
  }

  /** What the state hook was run with so far. */
  get hooks(): string[] {
    const log = this.#sandbox.path("hook.log");
    return existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
  }

  /** How each nbd-proxy has ended so far, as the server tells. */
  get ends(): string[] {
    return [...this.server.stdout.matchAll(/^nbd-proxy has ended with (\w+)$/gm)].map(([, end]) => end!);
  }

  /** The process of the nbd-proxy that runs. */
  get proxy(): number {
    const { pid } = this.server;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    assert.is(children.length, 1);
    return Number(children[0]);
  }

  /** The cookie that the page sets. */
  async cookie(): Promise<string> {
    const set = (await fetch(`${this.origin}/`)).headers.get("set-cookie")!;
    assert.match(set, /; HttpOnly; SameSite=Strict/);
    return set.split(";")[0]!;
  }

  async isDisk(): Promise<void> {
    await until("the disk is there", () => existsSync(this.socket));
  }

  async disk(): Promise<Awaited<ReturnType<typeof nbdClient>>> {
    await this.isDisk();
    return nbdClient(socketTransport(createConnection({ path: this.socket, allowHalfOpen: true })));
  }

  /** The SHA-256 of what nbdcopy reads of the disk. */
  async copied(): Promise<string> {
    await this.isDisk();
    const copy = this.#sandbox.path("copy");
    await this.#sandbox.run("nbdcopy", [`nbd+unix:///?socket=${this.socket}`, copy]);
    return sha256(copy);
  }
}

/** What a person does on the page, and sees there. */
class OwnPage {
  readonly #tab: Tab;

  constructor(tab: Tab) {
    this.#tab = tab;
  }

  static async open(browser: Browser, url: string): Promise<OwnPage> {
    const tab = await browser.newTab();
    await tab.goto(url);
    return new OwnPage(tab);
  }

  choose(path: string): Promise<void> {
    return this.#tab.upload("document.getElementById('file')", [path]);
  }

  click(button: "start" | "stop"): Promise<void> {
    return this.#tab.click(`document.getElementById("${button}")`);
  }

  text(id: "state" | "progress" | "error"): Promise<string> {
    return this.#tab.evaluate(`document.getElementById("${id}").textContent`);
  }

  is(state: string): Promise<void> {
    return until(`the page says ${state}`, async () => (await this.text("state")) === state);
  }

  /** The bytes that it says were read. */
  async bytes(): Promise<number> {
    return Number(/^(\d+) bytes/.exec(await this.text("progress"))?.[1] ?? 0);
  }

  async reads(least: number): Promise<void> {
    await until(`the page says that ${least} bytes were read`, async () => (await this.bytes()) >= least);
  }

  async close(): Promise<void> {
    assert.equal(await this.#tab.complaints(), []);
    await this.#tab.close();
  }
}

let chromium: Browser | undefined;

tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.console = new Console(context.sandbox);
  await context.console.start();
});
tests.after.each(({ sandbox }) => sandbox.end());
tests.after(() => chromium?.close());

const inChromium = needing(tests, ["chromium", "nbdcopy"]);

/** A page of the example, with its file chosen and served. */
async function serving({ origin, image }: Console, name: string): Promise<OwnPage> {
  chromium ??= await startChromium();
  const page = await OwnPage.open(chromium, `${origin}/${name}`);
  await page.choose(image);
  await page.click("start");
  await page.is("serving");
  return page;
}

/** Progress, a stop in order, and a start right after it. */
async function servesTwice(console: Console, page: OwnPage): Promise<void> {
  const disk = await console.disk();
  await disk.read(0, 4096);
  await page.reads(4096);
  const before = await page.bytes();
  await disk.close();
  assert.is(await console.copied(), console.digest);
  await page.reads(SIZE);
  assert.ok(before < SIZE, `${before} bytes were read before all were`);
  await page.click("stop");
  await page.is("ended");
  await page.click("start");
  await until("the first nbd-proxy has ended", () => console.ends.length === 1);
  assert.is(await console.copied(), console.digest);
  assert.equal(console.ends, ["0"]);
  assert.equal(console.hooks, ["start", "stop", "start"]);
  assert.is(await page.text("error"), "");
  await page.click("stop");
  await page.is("ended");
  await until("its nbd-proxy has ended", () => console.ends.length === 2);
  assert.equal(console.ends, ["0", "0"]);
  await page.close();
}

for (const name of ["page.html", "classic.html"]) {
  inChromium(`${name}: a disk, its progress, a stop in order, and again at once`, async ({ console }) => {
    await servesTwice(console, await serving(console, name));
  });

  inChromium(`${name}: nbd-proxy is killed, the page says so, and serves again`, async ({ console }) => {
    const page = await serving(console, name);
    process.kill(console.proxy, "SIGKILL");
    await page.is("failed");
    assert.match(await page.text("error"), /nbd-proxy has failed/);
    assert.equal(console.ends, ["SIGKILL"]);
    await page.click("start");
    await page.is("serving");
    assert.is(await console.copied(), console.digest);
    assert.is(await page.text("error"), "");
    await page.close();
  });

  inChromium(`${name}: a file that is removed while it is served`, async ({ console, sandbox }) => {
    const page = await serving(console, name);
    const disk = await console.disk();
    await disk.read(0, 4096);
    const away = sandbox.path("away.img");
    await rename(console.image, away);
    await failure(disk.read(SIZE - 4096, 4095));
    await page.is("unreadable");
    assert.match(await page.text("error"), /the file was removed/);
    await disk.close();
    await page.click("stop");
    await page.is("ended");
    await page.close();
  });
}

needing(tests, ["firefox-esr", "nbdcopy"])("Firefox: the same, by the module", async ({ console }) => {
  const browser = await startFirefox();
  try {
    const page = await OwnPage.open(browser, `${console.origin}/`);
    await page.choose(console.image);
    await page.click("start");
    await page.is("serving");
    await servesTwice(console, page);
  } finally {
    await browser.close();
  }
});

inChromium("the server is stopped: the disk ends in order, then the server", async ({ console }) => {
  const page = await serving(console, "page.html");
  assert.is(await console.copied(), console.digest);
  console.server.kill();
  await page.is("ended");
  assert.is(await within(10_000, "the server's end", console.server.exit), 0);
  assert.equal(console.ends, ["0"]);
  assert.equal(console.hooks, ["start", "stop"]);
  await page.close();
});

/** The status of the answer to an upgrade, or 101. */
function upgrade(url: string, headers: Record<string, string>): Promise<number> {
  const socket = new WebSocket(url, { headers });
  const status = new Promise<number>((resolve, reject) => {
    socket.once("upgrade", () => resolve(101));
    socket.once("unexpected-response", (_, { statusCode }) => resolve(statusCode!));
    socket.once("error", reject);
  });
  return within(10_000, "the answer", status).finally(() => socket.terminate());
}

tests(
  "an upgrade is refused without the page's cookie, from another page, at another path",
  async (context) => {
    const { endpoint, origin, server } = context.console;
    const [Cookie, Origin] = [await context.console.cookie(), origin];
    assert.is(await upgrade(endpoint, { Origin }), 403, "no cookie");
    assert.is(await upgrade(endpoint, { Origin, Cookie: "console=AAAA" }), 403, "another cookie");
    assert.is(await upgrade(endpoint, { Origin, Cookie: `other=1; x${Cookie}` }), 403, "another name");
    assert.is(await upgrade(endpoint, { Cookie, Origin: "http://elsewhere.example" }), 403, "another page");
    assert.is(await upgrade(endpoint, { Cookie }), 403, "no page");
    assert.is(
      await upgrade(`${origin.replace("http", "ws")}/media/1`, { Origin, Cookie }),
      400,
      "another path",
    );
    assert.is(server.stderr, "", "no nbd-proxy was started");
    assert.is(await upgrade(endpoint, { Origin, Cookie: `other=1; ${Cookie}` }), 101);
  },
);

inChromium("one disk at a time: another page is told, and gets in afterwards", async ({ console }) => {
  const page = await serving(console, "page.html");
  const other = await OwnPage.open(chromium!, `${console.origin}/classic.html`);
  await other.choose(console.image);
  await other.click("start");
  await other.is("failed");
  assert.match(await other.text("error"), /the drive is in use/);
  assert.is(await console.copied(), console.digest, "the first one goes on");
  await page.close();
  await until("the first nbd-proxy has ended", () => console.ends.length === 1);
  await other.click("start");
  await other.is("serving");
  await other.close();
});

tests("what is not of the page is not served", async ({ console: { origin } }) => {
  for (const path of ["/server.mjs", "/config.json", "/..%2fimage.img", "/js/nbd.js", "/no-such"]) {
    assert.is((await fetch(origin + path)).status, 404, path);
  }
});

tests.run();
