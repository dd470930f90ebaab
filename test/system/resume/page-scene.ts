/** A gateway with a page in Chromium, a cable between them that can be cut, and somebody who reads the disk. */
import { existsSync, statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import type { Browser, BrowserContext } from "playwright-core";
import * as assert from "uvu/assert";
import { program, type Running, Sandbox, until } from "../../harness.ts";
import { randomImage, sha256 } from "../../image.ts";
import { type ChromiumPage, openPage } from "../../page/open.ts";
import { UnreliableRelay } from "./unreliable-relay.ts";

/** More than the caches on the way hold: who reads all of it has to wait for the page. */
export const SIZE = 40_000_000;

export interface SceneOptions {
  /** More of the configuration file. */
  config?: object;
  /** Options of the gateway. */
  args?: readonly string[];
}

export class PageScene {
  readonly sandbox = new Sandbox();
  readonly image = this.sandbox.path("disk.img");
  readonly socket = this.sandbox.path("nbd.sock");
  readonly #args: readonly string[];
  readonly #config: object;
  readonly #contexts = new Set<BrowserContext>();
  gateway!: Running;
  relay!: UnreliableRelay;
  /** Of the page, over the cable. */
  url!: string;
  digest!: string;
  token: string | undefined;

  constructor({ config = {}, args = [] }: SceneOptions = {}) {
    this.#args = args;
    this.#config = config;
  }

  async start(): Promise<this> {
    const configurations = { local: { listen: `unix:${this.socket}` } };
    const config = { resume: 60, "take-over-interval": 0, "state-hook": "/nowhere", configurations };
    await writeFile(this.sandbox.path("config.json"), JSON.stringify({ ...config, ...this.#config }));
    this.digest = await randomImage(this.image, SIZE);
    await this.startGateway("0");
    this.relay = await UnreliableRelay.start(Number(new URL(this.gateway.stdout.trim()).port));
    this.url = `http://127.0.0.1:${this.relay.port}/`;
    const tokenFile = this.sandbox.path("token");
    if (existsSync(tokenFile)) this.token = (await readFile(tokenFile, "utf8")).trim();
    return this;
  }

  async startGateway(port: string): Promise<void> {
    const args = ["--config", this.sandbox.path("config.json"), "--port", port, ...this.#args];
    this.gateway = this.sandbox.start(program("nbd-gateway"), args);
    await until("the gateway's URL", () => this.gateway.stdout.endsWith("\n"));
  }

  /** A browser of a person who has not been there before. */
  async context(browser: Browser): Promise<BrowserContext> {
    const context = await browser.newContext();
    this.#contexts.add(context);
    return context;
  }

  /** Opens the page in a tab. Whoever leaves it while it serves says that they mean it. */
  open(context: BrowserContext): Promise<ChromiumPage> {
    return openPage(context, this.token === undefined ? this.url : `${this.url}#${this.token}`);
  }

  /** Opens the page in a tab, and serves the image. */
  async serve(context: BrowserContext): Promise<ChromiumPage> {
    const page = await this.open(context);
    await page.card().choose(this.image);
    await page.card().serve();
    await until("the socket is there", () => existsSync(this.socket));
    return page;
  }

  /** Starts to copy, and stops the copying program once data has come: it has to go on later. */
  async startCopy(): Promise<Copy> {
    const target = this.sandbox.path("copy");
    await until("the socket is there", () => existsSync(this.socket));
    const running = this.sandbox.start("nbdcopy", [`nbd+unix:///?socket=${this.socket}`, target]);
    await until("data comes", () => existsSync(target) && statSync(target).blocks > 0);
    running.kill("SIGSTOP");
    return {
      goOn: () => running.kill("SIGCONT"),
      isWhole: async () => {
        assert.is(await running.exit, 0, running.stderr);
        assert.is(await sha256(target), this.digest);
      },
    };
  }

  async end(): Promise<void> {
    for (const context of this.#contexts) await context.close();
    await this.sandbox.end();
    await this.relay?.close();
  }
}

/** A copy that somebody makes of the disk. */
export interface Copy {
  goOn(): void;
  /** Waits for its end, and compares it. */
  isWhole(): Promise<void>;
}

/** What this browser keeps for the page. */
export function keptBy({ tab }: ChromiumPage): Promise<string> {
  return tab.evaluate(`localStorage.getItem("nbd-proxy session /local") ?? ""`);
}
