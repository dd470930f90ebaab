/** From the packed package in an empty folder to a service: --init, the unit, and the examples for proxies. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { startCaddy } from "../../caddy.ts";
import { type Pair, writePair } from "../../certificates.ts";
import { needing, type Running, Sandbox, suite, until, within } from "../../harness.ts";
import { startNginxExample } from "../../nginx.ts";
import { installPacked } from "../../packed-package.ts";
import { proxyExample } from "../../proxy-examples.ts";
import { pattern, sha256 } from "../link.ts";

const tests = suite("the packed package as a service");

let sandbox: Sandbox;
let project: string;
let folder: string;
const bin = (name: string) => join(project, "node_modules/.bin", name);

tests.before(async () => {
  sandbox = new Sandbox();
  ({ project } = await installPacked(sandbox));
  folder = sandbox.path("empty");
  mkdirSync(folder, { mode: 0o755 });
  await sandbox.run(bin("nbd-gateway"), ["--init", "."], { cwd: folder });
});
tests.after(() => sandbox?.end());

/** Starts what the unit starts, which has these words behind it. */
async function startUnit(words: string[], env: Record<string, string> = {}): Promise<Running> {
  const unit = readFileSync(join(folder, "nbd-gateway.service"), "utf8");
  const [program, ...rest] = /^ExecStart=(.*)$/m.exec(unit)![1]!.split(" ");
  const state = sandbox.path("state");
  const run = sandbox.path("run");
  mkdirSync(run, { recursive: true, mode: 0o755 });
  const started = sandbox.start(program!, [...rest, ...words], {
    cwd: "/",
    env: { STATE_DIRECTORY: state, RUNTIME_DIRECTORY: run, ...env },
  });
  await until("it listens", () => {
    if (started.process.exitCode !== null) throw new Error(started.stderr);
    return started.stdout.includes("\n");
  });
  return started;
}

async function end(running: Running): Promise<void> {
  running.kill();
  assert.is(await within(5000, "its end", running.exit), 0, running.stderr);
}

/** Serves an image to a gateway, and copies the disk that it becomes there. */
async function serveAndCopy(url: string, ...options: string[]): Promise<void> {
  const image = sandbox.path("disk.img");
  writeFileSync(image, pattern(1 << 20));
  const tokenFile = join(sandbox.path("state"), "token");
  const server = sandbox.start(bin("nbd-serve"), [image, url, "--token-file", tokenFile, ...options]);
  await until("it serves", () => {
    if (server.process.exitCode !== null) throw new Error(server.stderr);
    return server.stderr.includes("serving");
  });
  const uri = `nbd+unix:///?socket=${sandbox.path("run/nbd.sock")}`;
  await until("the disk is there", async () => (await sandbox.start("nbdinfo", ["--size", uri]).exit) === 0);
  await sandbox.run("nbdcopy", [uri, sandbox.path("copy")]);
  assert.is(await sha256(sandbox.path("copy")), await sha256(image));
  await end(server);
}

needing(tests, ["systemd-analyze"])("systemd finds no fault in its units", async () => {
  const units = ["nbd-gateway.service", "nbd-gateway.socket"].map((name) => join(folder, name));
  const verify = sandbox.start("systemd-analyze", ["verify", "--man=no", ...units]);
  assert.is(await verify.exit, 0);
  assert.is(verify.stderr, "");
});

needing(tests, ["nbdcopy", "nbdinfo"])(
  "what its unit starts serves a disk with its configuration",
  async () => {
    const gateway = await startUnit(["--port", "0"]);
    await serveAndCopy(gateway.stdout.trim());
    await end(gateway);
  },
);

for (const [name, program] of [
  ["nginx.conf", "nginx"],
  ["Caddyfile", "caddy"],
] as const) {
  needing(tests, [program, "nbdcopy", "nbdinfo"])(`its example for ${program} is run before it`, async () => {
    const socket = sandbox.path("run/http.sock");
    const options = ["--behind-proxy", `unix:${socket}`, "--socket-mode", "0660"];
    const gateway = await startUnit(options);
    const pair: Pair = writePair(sandbox, program, ["localhost"]);
    const example = proxyExample(name, socket, folder);
    let url: string;
    if (name === "Caddyfile") url = await startCaddy(sandbox, example, pair);
    else {
      const nginx = await startNginxExample(sandbox, example, pair);
      ({ url } = nginx);
      const plain = await fetch(nginx.plainUrl, { redirect: "manual" });
      assert.is(plain.status, 301);
      assert.is(plain.headers.get("location"), "https://127.0.0.1/vm/");
    }
    const ca = sandbox.path(`${program}-ca.pem`);
    writeFileSync(ca, pair.cert);
    await serveAndCopy(`${url}local`, "--ca", ca);
    await end(gateway);
  });
}

tests("without koffi the service manager is told nothing, which one line says", async () => {
  const koffi = join(project, "node_modules/koffi");
  renameSync(koffi, `${koffi}-away`);
  try {
    const gateway = await startUnit(["--port", "0"], { NOTIFY_SOCKET: sandbox.path("notify") });
    await end(gateway);
    assert.match(
      gateway.stderr,
      /^nbd-gateway: the service manager cannot be told .*: the package koffi, .*\n/,
    );
    assert.is(gateway.stderr.match(/koffi/g)?.length, 1);
  } finally {
    renameSync(`${koffi}-away`, koffi);
  }
});

tests.run();
