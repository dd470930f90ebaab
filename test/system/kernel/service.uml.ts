/** Runs in User-Mode Linux: see machine.ts. */
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { memoryExport } from "../../../src/export/memory.ts";
import { serve } from "../../../src/serve.ts";
import { webSocket } from "../../../src/transport/websocket.ts";
import { program, type Running, root, Sandbox, suite, until, within } from "../../harness.ts";
import { writeConfig } from "../link.ts";
import { free, onDevice } from "./guest.ts";

interface Context {
  sandbox: Sandbox;
}

const tests = suite<Context>("a kernel device with the capabilities of the unit");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(async ({ sandbox }) => {
  // A test that has failed leaves it, and the folder could not be removed.
  await sandbox.start("umount", ["-l", mountpointOf(sandbox)]).exit;
  await sandbox.end();
});

const SIZE = 4 << 20;
const NOBODY = 65534;

/** The capabilities that the drop-in leaves, as setpriv(1) names them. */
const unit = readFileSync(join(root, "bin/nbd-gateway-device.conf"), "utf8");
const capabilities = /^CapabilityBoundingSet=(.*)$/m
  .exec(unit)![1]!
  .split(" ")
  .map((name) => name.replace("CAP_", "").toLowerCase());

async function startWith(sandbox: Sandbox, allowed: readonly string[]): Promise<Running & { url: string }> {
  const set = ["-all", ...allowed.map((name) => `+${name}`)].join(",");
  const words = ["--config", writeConfig(sandbox, onDevice(0)), "--port", "0", "--no-auth"];
  const limits = [`--bounding-set=${set}`, "--inh-caps=-all"];
  const gateway = sandbox.start("setpriv", [...limits, process.execPath, program("nbd-gateway"), ...words]);
  await until("it listens", () => gateway.stdout.includes("\n"), 120_000);
  return Object.assign(gateway, { url: gateway.stdout.trim().replace("http", "ws") });
}

/** Serves an image to a gateway from within this process. */
function serveHere(url: string, bytes: Uint8Array): Promise<unknown> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  return serve(webSocket(socket), memoryExport(bytes), {}).catch((error: unknown) => error);
}

const mountpointOf = (sandbox: Sandbox) => sandbox.path("private/mnt");

/** Mounts the device where only another user may go, and writes to it. */
async function writeToMounted(sandbox: Sandbox): Promise<string> {
  const folder = sandbox.path("private");
  const mountpoint = mountpointOf(sandbox);
  mkdirSync(mountpoint, { recursive: true });
  await sandbox.run("mount", ["/dev/nbd0", mountpoint]);
  writeFileSync(join(mountpoint, "file"), "written");
  chmodSync(folder, 0o700);
  chownSync(folder, NOBODY, NOBODY);
  return mountpoint;
}

async function image(sandbox: Sandbox): Promise<Uint8Array> {
  const disk = sandbox.path("disk.img");
  await sandbox.run("sh", ["-c", `truncate -s ${SIZE} ${disk} && mkfs.ext2 -q ${disk}`]);
  return Uint8Array.from(readFileSync(disk));
}

tests("it attaches, and writes what a file system on it holds", async ({ sandbox }) => {
  assert.equal(capabilities, ["sys_admin", "dac_read_search"]);
  const bytes = await image(sandbox);
  const gateway = await startWith(sandbox, capabilities);
  const served = serveHere(gateway.url, bytes);
  await until("it is attached", () => gateway.stderr.includes(" on /dev/nbd0"), 60_000);
  const mountpoint = await writeToMounted(sandbox);
  gateway.kill();
  assert.is(await within(60_000, "nbd-gateway", gateway.exit), 0, gateway.stderr);
  await served;
  assert.ok(Buffer.from(bytes).includes("written"), "it is in the image");
  await sandbox.run("umount", [mountpoint]);
  await free();
});

tests("without CAP_SYS_ADMIN it does not attach", async ({ sandbox }) => {
  const gateway = await startWith(sandbox, ["dac_read_search"]);
  serveHere(gateway.url, new Uint8Array(SIZE));
  await until("the line", () => gateway.stderr.includes("permission denied"), 60_000);
});

tests(
  "without CAP_DAC_READ_SEARCH it is not known whether all was written that is mounted where others may not go",
  async ({ sandbox }) => {
    const gateway = await startWith(sandbox, ["sys_admin"]);
    const served = serveHere(gateway.url, await image(sandbox));
    await until("it is attached", () => gateway.stderr.includes(" on /dev/nbd0"), 60_000);
    const mountpoint = await writeToMounted(sandbox);
    gateway.kill();
    assert.is(await within(60_000, "nbd-gateway", gateway.exit), 1);
    assert.match(
      gateway.stderr,
      /not all of it could be written: \/dev\/nbd0: .*private\/mnt: permission denied/i,
    );
    await served;
    await sandbox.run("umount", [mountpoint]);
    await free();
  },
);

tests(
  "what is mounted below a folder that another mount lies over is not taken for unmounted",
  async ({ sandbox }) => {
    const gateway = await startWith(sandbox, capabilities);
    const served = serveHere(gateway.url, await image(sandbox));
    await until("it is attached", () => gateway.stderr.includes(" on /dev/nbd0"), 60_000);
    const mountpoint = await writeToMounted(sandbox);
    await sandbox.run("mount", ["-t", "tmpfs", "none", sandbox.path("private")]);
    gateway.kill();
    assert.is(await within(60_000, "nbd-gateway", gateway.exit), 1);
    assert.match(gateway.stderr, /not all of it could be written: \/dev\/nbd0: .*private\/mnt: /);
    await served;
    await sandbox.run("umount", [sandbox.path("private")]);
    await sandbox.run("umount", [mountpoint]);
    await free();
  },
);

tests.run();
