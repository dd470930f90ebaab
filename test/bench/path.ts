/** The path that several benchmarks measure: an image behind nbd-serve, a gateway, a unix socket. */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { program, type Running, type Sandbox, until } from "../harness.ts";
import { startWebsocketd } from "../websocketd.ts";

export const MIB = 1 << 20;

export interface Path {
  image: string;
  uri: string;
  gateway: Running;
  serve: Running;
}

/** A file of random bytes. */
export function makeImage(sandbox: Sandbox, mebibytes: number): string {
  const image = sandbox.path("image");
  const file = openSync(image, "w");
  for (let i = 0; i < mebibytes; i++) writeSync(file, randomBytes(MIB));
  closeSync(file);
  return image;
}

/** Makes an image, and a configuration that offers it on a unix socket. */
function prepare(sandbox: Sandbox, mebibytes: number) {
  const image = makeImage(sandbox, mebibytes);
  const socket = sandbox.path("nbd.sock");
  const config = sandbox.path("config.json");
  writeFileSync(config, JSON.stringify({ configurations: { bench: { listen: `unix:${socket}` } } }));
  return { image, socket, config, uri: `nbd+unix:///?socket=${socket}` };
}

/** Makes an image and starts both programs around it. */
export async function startPath(sandbox: Sandbox, mebibytes: number): Promise<Path> {
  const { image, config, uri } = prepare(sandbox, mebibytes);
  const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
  await until("the gateway listens", () => gateway.stdout.includes("\n"));
  const serve = sandbox.start(program("nbd-serve"), [image, gateway.stdout.trim().replace("http", "ws")]);
  await until("the export is offered", () => gateway.stderr.includes("bytes"));
  return { image, uri, gateway, serve };
}

/** The same with `nbd-proxy` under websocketd in place of the gateway: whose id is told, as websocketd starts it. */
export async function startProxyPath(
  sandbox: Sandbox,
  mebibytes: number,
): Promise<{ uri: string; proxy: number; serve: Running }> {
  const { image, socket, config, uri } = prepare(sandbox, mebibytes);
  const websocketd = await startWebsocketd(sandbox, [program("nbd-proxy"), "--config", config]);
  const origin = new URL(websocketd.page).origin;
  const serve = sandbox.start(program("nbd-serve"), ["--origin", origin, image, websocketd.endpoint]);
  await until("the export is offered", () => existsSync(socket));
  const children = readFileSync(`/proc/${websocketd.pid}/task/${websocketd.pid}/children`, "ascii");
  return { uri, proxy: Number.parseInt(children, 10), serve };
}

/**
 * The same with a relay in place of the gateway that only passes bytes on, for so many clients, one after the other. All
 * its processes are told.
 */
export async function startRelayPath(
  sandbox: Sandbox,
  image: string,
  clients: number,
): Promise<{ uri: string; processes: Running[] }> {
  const socket = join(mkdtempSync(sandbox.path("relay-")), "nbd.sock");
  const script = fileURLToPath(new URL("relay.ts", import.meta.url));
  const relay = sandbox.start(process.execPath, ["--import", import.meta.resolve("tsx"), script, socket]);
  await until("the relay listens", () => relay.stdout.includes("\n"));
  const serve = () => sandbox.start(program("nbd-serve"), [image, relay.stdout.trim()]);
  const servers = Array.from({ length: clients }, serve);
  await until("the relay has them all", () => relay.stdout.split("a WebSocket").length > clients);
  return { uri: `nbd+unix:///?socket=${socket}`, processes: [relay, ...servers] };
}

/** Memory of a process in MiB: now, or the most it ever had. */
export function memory(pid: number, field: "VmRSS" | "VmHWM"): number {
  const kib = new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "ascii"))?.[1];
  return Math.round(Number(kib) / 1024);
}

/** Milliseconds of processor time that a process has taken so far, all its threads together (proc_pid_stat(5)). */
export function processorTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "ascii");
  // Behind the name, which may have spaces in it; in ticks, of which Linux has 100 a second for this.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
