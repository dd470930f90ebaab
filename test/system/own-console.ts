/** A console of others: the server of test/examples/console in a folder of its own, and a person at its page. */
import { existsSync, readFileSync } from "node:fs";
import { chmod, copyFile, cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { delimiter, join } from "node:path";
import * as assert from "uvu/assert";
import { nbdClient, socketTransport } from "../../src/node/index.ts";
import { program, type Running, root, type Sandbox, until } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import type { Browser, Tab } from "../page/tab.ts";
import { freePort } from "../websocketd.ts";

/** The bytes of the image. */
export const SIZE = 10_000_001;

/** The server of the example, in a folder of its own, with the image that its page offers. */
export class OwnConsole {
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
export class OwnPage {
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

/** Progress, a stop in order, and a start right after it. */
export async function servesTwice(console: OwnConsole, page: OwnPage): Promise<void> {
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
  assert.is(await page.bytes(), 0, "of the last start");
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
