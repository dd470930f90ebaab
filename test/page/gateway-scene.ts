/** A gateway that a page comes from, a cable between them that can be cut, and somebody who reads the disks. */
import { existsSync, statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { program, type Running, Sandbox, until } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { UnreliableRelay } from "../system/resume/unreliable-relay.ts";

/** More than the caches on the way hold: who reads all of it has to wait for the page. */
export const SIZE = 40_000_000;

export interface SceneOptions {
  /** The names of the configurations; the first one is that of `socket`. */
  names?: readonly string[];
  /** More of the configuration file. */
  config?: object;
  /** Options of the gateway. */
  args?: readonly string[];
}

/** A copy that somebody makes of a disk. */
export interface Copy {
  goOn(): void;
  /** Waits for its end, and compares it. */
  isWhole(): Promise<void>;
}

export class GatewayScene {
  readonly sandbox = new Sandbox();
  readonly image = this.sandbox.path("disk.img");
  readonly socket: string;
  readonly #args: readonly string[];
  #config: object;
  gateway!: Running;
  relay!: UnreliableRelay;
  /** Of the page, over the cable. */
  url!: string;
  digest!: string;
  token: string | undefined;

  constructor({ names = ["local"], config = {}, args = [] }: SceneOptions = {}) {
    const configurations = this.#configurations(names);
    this.socket = this.socketOf(names[0]!);
    this.#args = args;
    this.#config = {
      ...{ resume: 60, "take-over-interval": 0, "state-hook": "/nowhere", configurations },
      ...config,
    };
  }

  /** Writes other configurations into the file that the gateway reads at SIGHUP. */
  async configure(names: readonly string[]): Promise<void> {
    this.#config = { ...this.#config, configurations: this.#configurations(names) };
    await writeFile(this.sandbox.path("config.json"), JSON.stringify(this.#config));
  }

  #configurations(names: readonly string[]): object {
    return Object.fromEntries(names.map((name) => [name, { listen: `unix:${this.socketOf(name)}` }]));
  }

  /** Where the disk of a configuration is. */
  socketOf(name: string): string {
    return this.sandbox.path(`${name}.sock`);
  }

  /** Of the page, with what logs in there. */
  get address(): string {
    return this.token === undefined ? this.url : `${this.url}#${this.token}`;
  }

  async start(): Promise<this> {
    await writeFile(this.sandbox.path("config.json"), JSON.stringify(this.#config));
    this.digest = await randomImage(this.image, SIZE);
    await this.startGateway("0");
    this.relay = await UnreliableRelay.start(Number(this.port));
    this.url = `http://127.0.0.1:${this.relay.port}/`;
    const tokenFile = this.sandbox.path("token");
    if (existsSync(tokenFile)) this.token = (await readFile(tokenFile, "utf8")).trim();
    return this;
  }

  /** The gateway's own port. */
  get port(): string {
    return new URL(this.gateway.stdout.trim()).port;
  }

  async startGateway(port: string): Promise<void> {
    const args = ["--config", this.sandbox.path("config.json"), "--port", port, ...this.#args];
    this.gateway = this.sandbox.start(program("nbd-gateway"), args);
    await until("the gateway's URL", () => this.gateway.stdout.endsWith("\n"));
  }

  /** Waits until a disk is there. */
  async isAttached(socket = this.socket): Promise<void> {
    await until("the socket is there", () => existsSync(socket));
  }

  /** Waits until a disk is gone. */
  async isDetached(socket = this.socket): Promise<void> {
    await until("the socket is gone", () => !existsSync(socket));
  }

  /** Starts to copy, and stops the copying program once data has come: it has to go on later. */
  async startCopy({ socket = this.socket, digest = this.digest } = {}): Promise<Copy> {
    const target = `${socket}.copy`;
    await this.isAttached(socket);
    const running = this.sandbox.start("nbdcopy", [`nbd+unix:///?socket=${socket}`, target]);
    await until("data comes", () => existsSync(target) && statSync(target).blocks > 0);
    running.kill("SIGSTOP");
    return {
      goOn: () => running.kill("SIGCONT"),
      isWhole: async () => {
        assert.is(await running.exit, 0, running.stderr);
        assert.is(await sha256(target), digest);
      },
    };
  }

  async end(): Promise<void> {
    await this.sandbox.end();
    await this.relay?.close();
  }
}
