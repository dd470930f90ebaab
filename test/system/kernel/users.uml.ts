/** Runs in User-Mode Linux: see machine.ts. */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { program, type Running, Sandbox, suite, until, within } from "../../harness.ts";
import { attached, connectWires, startProxy, startServer, throughGateway, writeConfig } from "../link.ts";
import { assertQuietKernel, deviceState, free, onDevice } from "./guest.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("what holds a kernel device");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, "");
  truncateSync(context.image, 64 << 20);
});
tests.after.each(async ({ sandbox }) => {
  // What a test that failed has left would make the next ones fail.
  await sandbox.run("umount", ["-l", sandbox.path("mnt")]).catch(() => {});
  await dmsetup(sandbox, "remove", "volume").catch(() => {});
  await sandbox.run("losetup", ["-D"]).catch(() => {});
  await sandbox.end();
});

/** Runs dmsetup, which makes the nodes itself where there is no udev. */
const dmsetup = (sandbox: Sandbox, ...args: string[]) =>
  sandbox.run("dmsetup", args, { env: { DM_DISABLE_UDEV: "1" } });

async function mapDevice(sandbox: Sandbox, name: string): Promise<string> {
  await sandbox.run("modprobe", ["--dirname", "/run/modules", "dm-mod"]);
  await dmsetup(sandbox, "create", name, "--table", "0 131072 linear /dev/nbd0 0");
  return `/dev/mapper/${name}`;
}

async function mountAt(sandbox: Sandbox, device: string): Promise<string> {
  await sandbox.run("mkfs.ext4", ["-q", device]);
  const folder = sandbox.path("mnt");
  mkdirSync(folder);
  await sandbox.run("mount", [device, folder]);
  return folder;
}

/** What the next session of the same configuration says, and how many milliseconds that takes. */
async function nextSession(sandbox: Sandbox): Promise<{ line: string; took: number }> {
  const config = writeConfig(sandbox, onDevice());
  const proxy = sandbox.start(program("nbd-proxy"), ["--config", config], { wire: true });
  const began = performance.now();
  let said = 0;
  proxy.process.stdout!.on("data", ({ length }) => {
    said += length;
  });
  assert.is(await within(60_000, "its end", proxy.exit), 1, proxy.stderr);
  assert.is(said, 0, "it asks the other side for nothing");
  const start = `nbd-proxy: ${config}: configuration "local": "nbd-device": what an earlier session left is still in use, by `;
  assert.ok(proxy.stderr.startsWith(start), proxy.stderr);
  return { line: proxy.stderr.slice(start.length).trimEnd(), took: performance.now() - began };
}

/** The same attaches again, once nobody is in the way. */
async function assertFree(sandbox: Sandbox, image: string) {
  const server = await startServer(sandbox, ["--writable", image]);
  const proxy = startProxy(sandbox, onDevice());
  connectWires(proxy, server);
  await attached(proxy);
  proxy.kill("SIGTERM");
  assert.is(await within(10_000, "its end", proxy.exit), 0, proxy.stderr);
  await free();
  assertQuietKernel();
}

/** nbd-serve ▸ nbd-gateway ▸ /dev/nbd0, that can be written and waits for nobody. */
const served = (sandbox: Sandbox, image: string) =>
  throughGateway(sandbox, image, { writable: true, keys: onDevice(0, { resume: 0 }) });

async function lose({ gateway, server }: { gateway: Running; server: Running }) {
  server.kill("SIGKILL");
  await until("the gateway has noticed", () => /^nbd-gateway: local: (ended|the )/m.test(gateway.stderr));
}

tests("a file system on device-mapper on it, the remote killed", async ({ sandbox, image }) => {
  const link = await served(sandbox, image);
  const folder = await mountAt(sandbox, await mapDevice(sandbox, "volume"));
  // Not synced: the kernel still holds it when the remote is gone.
  writeFileSync(`${folder}/file`, Buffer.alloc(8 << 20, 1));
  await lose(link);

  // In the same gateway, too.
  const second = sandbox.start(program("nbd-serve"), [
    image,
    link.gateway.stdout.trim().replace("http", "ws"),
  ]);
  assert.is(await within(60_000, "the end of the second", second.exit), 1);
  assert.match(second.stderr, /the other machine has no place for the disk; its log says why/);
  assert.match(
    link.gateway.stderr,
    'still in use, by the device-mapper device "volume"; take that away first',
  );
  link.gateway.kill();
  await link.gateway.exit;

  const { line } = await nextSession(sandbox);
  assert.is(line, 'the device-mapper device "volume"; take that away first');
  await sandbox.run("umount", ["-l", folder]);
  await dmsetup(sandbox, "remove", "volume");
  await assertFree(sandbox, image);
});

tests("a file system on it, the remote killed", async ({ sandbox, image }) => {
  const link = await served(sandbox, image);
  const folder = await mountAt(sandbox, "/dev/nbd0");
  await lose(link);
  link.gateway.kill();
  await link.gateway.exit;
  const { line } = await nextSession(sandbox);
  assert.is(
    line,
    `a mount at "${folder.slice(0, 64)}${folder.length > 64 ? "…" : ""}"; take that away first`,
  );
  await sandbox.run("umount", [folder]);
  await assertFree(sandbox, image);
});

tests("a loop device on it, the proxy killed", async ({ sandbox, image }) => {
  const server = await startServer(sandbox, ["--writable", image]);
  const proxy = startProxy(sandbox, onDevice());
  connectWires(proxy, server);
  await attached(proxy);
  await sandbox.run("modprobe", ["--dirname", "/run/modules", "loop"]).catch(() => {});
  await sandbox.run("losetup", ["/dev/loop0", "/dev/nbd0"]);
  proxy.kill("SIGKILL");
  await proxy.exit;
  const { line } = await nextSession(sandbox);
  assert.is(line, "the device loop0; take that away first");
  await sandbox.run("losetup", ["-d", "/dev/loop0"]);
  await assertFree(sandbox, image);
});

tests("a process that has it open, the proxy killed", async ({ sandbox, image }) => {
  const server = await startServer(sandbox, [image]);
  const proxy = startProxy(sandbox, onDevice());
  connectWires(proxy, server);
  await attached(proxy);
  const holder = sandbox.start("sh", ["-c", "exec 3</dev/nbd0; exec sleep 1000"]);
  await until("it is open", () => readFileSync(`/proc/${holder.pid}/comm`, "utf8") === "sleep\n");
  proxy.kill("SIGKILL");
  await proxy.exit;
  const { line } = await nextSession(sandbox);
  assert.is(line, `process ${holder.pid} "sleep"; take that away first`);
  assert.is(deviceState().backend, "nbd-proxy local");
  holder.kill("SIGKILL");
  await holder.exit;
  await assertFree(sandbox, image);
});

tests.run();
