/** Runs in User-Mode Linux: see machine.ts. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { type Running, Sandbox, suite, until, within } from "../../harness.ts";
import { attached, connectWires, pattern, startProxy, throughGateway } from "../link.ts";
import { assertQuietKernel, free, onDevice } from "./guest.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("what stands on a kernel device is written at an orderly end");

tests.before(() => {
  for (const module of ["loop", "dm-mod", "raid1"])
    execFileSync("modprobe", ["--dirname", "/run/modules", module]);
});
tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, "");
  truncateSync(context.image, 64 << 20);
});
tests.after.each(async ({ sandbox }) => {
  // What a test that failed has left would fail the next ones.
  const script = `umount -l ${sandbox.folder}/* 2>&-; losetup -D; mdadm --stop --scan; dmsetup remove_all --force`;
  await sandbox.run("sh", ["-c", `${script}; true`]);
  await sandbox.end();
});

const CONTENT = pattern(5_000_000);

/** Makes a device-mapper device of all of another one, and gives the path of its node. Nobody makes links to it here. */
async function mapped(sandbox: Sandbox, name: string, device: string): Promise<string> {
  await sandbox.run("dmsetup", ["create", name, "--noudevsync", "--table", `0 131072 linear ${device} 0`]);
  const info = ["info", "--columns", "--noheadings", "--options", "blkdevname", name];
  return `/dev/${(await sandbox.run("dmsetup", info)).trim()}`;
}

/** Puts a file on a file system that is made on a device, which nobody syncs. */
async function fill(sandbox: Sandbox, device: string): Promise<string> {
  const mountpoint = sandbox.path(device.replaceAll("/", "-"));
  mkdirSync(mountpoint);
  await sandbox.run("mkfs.ext4", ["-q", device]);
  await sandbox.run("mount", [device, mountpoint]);
  writeFileSync(`${mountpoint}/unsynced`, CONTENT);
  return mountpoint;
}

async function endInOrder(gateway: Running) {
  gateway.kill("SIGTERM");
  assert.is(await within(60_000, "the end", gateway.exit), 0, gateway.stderr);
}

/** The file in an image of a file system, whose journal is replayed as after a power cut. */
async function assertKept(sandbox: Sandbox, image: string) {
  const checked = sandbox.start("e2fsck", ["-fy", image]);
  assert.ok(Number(await checked.exit) <= 1, checked.stdout);
  const copy = sandbox.path("copy");
  await sandbox.run("debugfs", ["-R", `dump /unsynced ${copy}`, image]);
  assert.ok(readFileSync(copy).equals(CONTENT), "the file is there");
}

tests("a file system on device-mapper, on device-mapper", async ({ sandbox, image }) => {
  const { gateway } = await throughGateway(sandbox, image, { writable: true, keys: onDevice() });
  const lower = await mapped(sandbox, "lower", "/dev/nbd0");
  const mountpoint = await fill(sandbox, await mapped(sandbox, "upper", lower));
  await endInOrder(gateway);
  await sandbox.run("umount", [mountpoint]);
  for (const name of ["upper", "lower"]) await sandbox.run("dmsetup", ["remove", name]);
  await free();
  await assertKept(sandbox, image);
  assertQuietKernel();
});

tests("a loop device of the device", async ({ sandbox, image }) => {
  const { gateway } = await throughGateway(sandbox, image, { writable: true, keys: onDevice() });
  const loop = (await sandbox.run("losetup", ["--find", "--show", "/dev/nbd0"])).trim();
  const mountpoint = await fill(sandbox, loop);
  await endInOrder(gateway);
  await sandbox.run("umount", [mountpoint]);
  await sandbox.run("losetup", ["--detach", loop]);
  await free();
  await assertKept(sandbox, image);
  assertQuietKernel();
});

tests("a loop device of a file on the device, in another mount namespace", async ({ sandbox, image }) => {
  const { gateway } = await throughGateway(sandbox, image, { writable: true, keys: onDevice() });
  await sandbox.run("mkfs.ext4", ["-q", "/dev/nbd0"]);
  const inner = sandbox.path("inner");
  mkdirSync(`${inner}-lower`);
  mkdirSync(`${inner}-upper`);
  const content = sandbox.path("content");
  writeFileSync(content, CONTENT);
  // Nobody else sees what is mounted there.
  const script = `set -e
mount --make-rprivate /
mount /dev/nbd0 ${inner}-lower
truncate -s 32M ${inner}-lower/disk
loop=$(losetup --find --show ${inner}-lower/disk)
mkfs.ext4 -q $loop
mount $loop ${inner}-upper
cp ${content} ${inner}-upper/unsynced
touch ${inner}-done
exec sleep 1000`;
  const other = sandbox.start("unshare", ["--mount", "sh", "-c", script]);
  await until(
    "the file is there",
    () => {
      if (other.process.exitCode !== null) throw new Error(other.stderr);
      return existsSync(`${inner}-done`);
    },
    60_000,
  );
  await endInOrder(gateway);
  other.kill("SIGKILL");
  await other.exit;
  await sandbox.run("losetup", ["--detach-all"]);
  await free();
  const disk = sandbox.path("disk");
  const checked = sandbox.start("e2fsck", ["-fy", image]);
  assert.ok(Number(await checked.exit) <= 1, checked.stdout);
  await sandbox.run("debugfs", ["-R", `dump /disk ${disk}`, image]);
  await assertKept(sandbox, disk);
});

tests("md with a partition of the device", async ({ sandbox, image }) => {
  await sandbox.run("sh", ["-c", `echo "start=2048, type=83" | sfdisk -q ${image}`]);
  const { gateway } = await throughGateway(sandbox, image, { writable: true, keys: onDevice() });
  const create = ["--create", "/dev/md0", "--run", "--force", "--level=1", "--metadata=1.0"];
  await sandbox.run("mdadm", [...create, "--raid-devices=1", "/dev/nbd0p1"]);
  const mountpoint = await fill(sandbox, "/dev/md0");
  await endInOrder(gateway);
  await sandbox.run("umount", [mountpoint]);
  await sandbox.run("mdadm", ["--stop", "/dev/md0"]);
  await free();
  const partition = sandbox.path("partition");
  writeFileSync(partition, readFileSync(image).subarray(1 << 20));
  await assertKept(sandbox, partition);
});

tests("what cannot be written is told, with exit status 1", async ({ sandbox, image }) => {
  const { gateway } = await throughGateway(sandbox, image, { writable: true, keys: onDevice() });
  const mountpoint = await fill(sandbox, await mapped(sandbox, "lower", "/dev/nbd0"));
  await sandbox.run("dmsetup", ["suspend", "--nolockfs", "lower"]);
  gateway.kill("SIGTERM");
  const status = await within(60_000, "the end", gateway.exit);
  await sandbox.run("dmsetup", ["resume", "lower"]);
  await sandbox.run("umount", [mountpoint]).catch(() => {});
  await sandbox.run("dmsetup", ["remove", "--force", "lower"]).catch(() => {});
  assert.match(
    gateway.stderr,
    /: what was written last to \/dev\/nbd0 is lost: not all of it could be written: \/dev\/dm-0: it is suspended\n/,
  );
  assert.is(status, 1);
});

tests("a flush that waits for nothing but discards, which take their time, is no stall", async (context) => {
  const { sandbox, image } = context;
  const proxy = startProxy(sandbox, onDevice(0, { timeout: 3 }));
  const plugin = ["--filter=delay", "file", image, "delay-trim=200ms"];
  connectWires(proxy, sandbox.start("nbdkit", ["-s", "-t", "1", ...plugin], { wire: true }));
  await attached(proxy);
  // All of them are sent before the flush, and answered one after the other.
  const discard = sandbox.start("blkdiscard", ["--length", String(30 << 18), "/dev/nbd0"]);
  const inFlight = () => Number(readFileSync("/sys/block/nbd0/inflight", "utf8").trim().split(/\s+/)[1]);
  await until("they are sent", () => inFlight() > 25, 60_000);
  proxy.kill("SIGTERM");
  assert.is(await within(60_000, "the end", proxy.exit), 0, proxy.stderr);
  await discard.exit;
  await free();
});

tests("a discard is of no more than a slow server manages in time", async ({ sandbox, image }) => {
  const limit = () => Number(readFileSync("/sys/block/nbd0/queue/discard_max_bytes", "utf8"));
  const { gateway } = await throughGateway(sandbox, image, { writable: true, keys: onDevice() });
  assert.is(limit(), 1 << 22);
  await sandbox.run("blkdiscard", ["/dev/nbd0"]);
  await endInOrder(gateway);
  await free();
  const forEver = await throughGateway(sandbox, image, { writable: true, keys: onDevice(0, { timeout: 0 }) });
  assert.ok(limit() > 2 ** 31, `${limit()} bytes`);
  await endInOrder(forEver.gateway);
  await free();
});

tests.run();
