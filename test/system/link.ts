/** What the system tests begin with: an export behind nbd-gateway or nbd-proxy, ready to be used by a peer. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, writeFileSync } from "node:fs";
import { readToken } from "../../src/node/login/token-file.ts";
import { readableOf, writableOf } from "../../src/node/node-stream.ts";
import type { Duplex } from "../../src/streams/duplex.ts";
import { program, type Running, type Sandbox, until } from "../harness.ts";

/** Milliseconds that programs are given to start, on a machine that is busy or emulated. */
const START_TIME = 120_000;

/** One configuration, as config.json has it. */
export type Entry = Record<string, unknown>;

/** Writes a config.json with one configuration, "local", that listens in the test's folder; `keys` adds to it. */
export function writeConfig(sandbox: Sandbox, keys: Entry = {}): string {
  const local = { listen: `unix:${sandbox.path("nbd.sock")}`, "state-hook": sandbox.path("state"), ...keys };
  const file = sandbox.path("config.json");
  writeFileSync(file, JSON.stringify({ configurations: { local } }));
  return file;
}

/** An export that local clients can use. */
export interface Attached {
  /** Its unix socket. */
  socket: string;
  /** The same as an NBD URI. */
  uri: string;
}

export interface GatewayStart {
  /** Adds to its environment. */
  env?: Record<string, string>;
  /** A loopback address, where it listens. */
  host?: string;
  /** Whether it asks for a login. Default: no. */
  hasLogin?: boolean;
}

/** nbd-gateway, which prints its URL once it listens; its token if it has one. */
export async function startGateway(
  sandbox: Sandbox,
  keys: Entry = {},
  { env = {}, host = "127.0.0.1", hasLogin = false }: GatewayStart = {},
): Promise<Running & { url: string; token?: string }> {
  const tokenFile = sandbox.path("login/token");
  const login = hasLogin ? ["--token-file", tokenFile] : ["--no-auth"];
  const args = ["--config", writeConfig(sandbox, keys), "--host", host, "--port", "0", ...login];
  const gateway = sandbox.start(program("nbd-gateway"), args, { env });
  await until("nbd-gateway listens", () => isAlive(gateway) && gateway.stdout.includes("\n"), START_TIME);
  const url = gateway.stdout.trim().replace(/^http/, "ws");
  return Object.assign(gateway, { url, ...(hasLogin && { token: readToken(tokenFile) }) });
}

/** FILE ▸ nbd-serve ▸ nbd-gateway ▸ a unix socket. */
export async function throughGateway(
  sandbox: Sandbox,
  file: string,
  {
    writable = false,
    retry,
    keys = {},
    env = {},
  }: { writable?: boolean; retry?: number; keys?: Entry; env?: Record<string, string> } = {},
): Promise<Attached & { gateway: Running; server: Running; where: string }> {
  const gateway = await startGateway(sandbox, keys, { env });
  const server = sandbox.start(program("nbd-serve"), [
    ...(writable ? ["--writable"] : []),
    ...(retry === undefined ? [] : ["--retry", `${retry}`]),
    file,
    gateway.url,
  ]);
  const where = await attached(gateway);
  return { gateway, server, where, ...attachedAt(sandbox) };
}

/** Waits for the line that says where an export is attached, and returns the address in it. */
export async function attached(proxy: Running): Promise<string> {
  const line = / bytes, (?:writable|read-only), on (\S+)/;
  await until("the export is attached", () => isAlive(proxy) && line.test(proxy.stderr), START_TIME);
  return line.exec(proxy.stderr)![1]!;
}

/** True; throws where a program has ended that is waited for. */
function isAlive(running: Running): true {
  if (running.process.exitCode !== null) throw new Error(`it has ended: ${running.stderr}`);
  return true;
}

export function attachedAt(sandbox: Sandbox): Attached {
  const socket = sandbox.path("nbd.sock");
  return { socket, uri: `nbd+unix:///?socket=${socket}` };
}

/** nbd-proxy whose standard input and output are the test's. */
export function startProxy(sandbox: Sandbox, keys: Entry = {}): Running & Attached {
  const args = ["--config", writeConfig(sandbox, keys)];
  const proxy = sandbox.start(program("nbd-proxy"), args, { wire: true });
  return Object.assign(proxy, attachedAt(sandbox));
}

/**
 * nbd-serve on standard input and output, once it has greeted: a proxy waits 5 s for that, which is little where Node starts
 * on an emulated processor.
 */
export async function startServer(sandbox: Sandbox, args: readonly string[]): Promise<Running> {
  const server = sandbox.start(program("nbd-serve"), [...args, "-"], { wire: true });
  await once(server.process.stdout!, "readable");
  return server;
}

/** The two pipes to a program that was started with `wire`, as a channel of bytes. */
export function wireOf({ process }: Running): Duplex<Uint8Array> {
  return { readable: readableOf(process.stdout!), writable: writableOf(process.stdin!) };
}

/** Connects the wires of two programs with each other. */
export function connectWires(a: Running, b: Running): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.process.stdout!.pipe(to.process.stdin!);
    to.process.stdin!.on("error", () => from.process.stdout!.destroy());
  }
}

/** The exit status, once the process is gone, even where a child of it still holds its standard error. */
export function gone({ process }: Running): Promise<number | NodeJS.Signals> {
  if (process.exitCode !== null) return Promise.resolve(process.exitCode);
  return new Promise((resolve) => process.once("exit", (code, signal) => resolve(signal ?? code ?? -1)));
}

export async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest("hex");
}

/** Bytes that differ from block to block, the same in every run. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
