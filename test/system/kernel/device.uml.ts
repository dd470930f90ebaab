/** Runs in User-Mode Linux: see machine.ts. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import * as assert from "uvu/assert";
import { program, type Running, Sandbox, suite, within } from "../../harness.ts";
import {
  attached,
  connectWires,
  pattern,
  sha256,
  startProxy,
  startServer,
  throughGateway,
  writeConfig,
} from "../link.ts";
import {
  assertQuietKernel,
  deviceState,
  free,
  hookCalls,
  onDevice,
  queueSettings,
  writeHook,
} from "./guest.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("a kernel device");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
});
tests.after.each(({ sandbox }) => sandbox.end());

/** Ends a program as an operator does; it must have nothing to complain of. */
async function endInOrder(running: Running) {
  running.kill("SIGTERM");
  assert.is(await within(20_000, "the end", running.exit), 0, running.stderr);
  await free();
  assertQuietKernel();
}

tests("the files of an ISO 9660 image are read", async ({ sandbox, image }) => {
  const content = sandbox.path("content");
  mkdirSync(content);
  writeFileSync(`${content}/hello.txt`, "hello from the image\n");
  writeFileSync(`${content}/large.bin`, pattern(3_000_000));
  await sandbox.run("genisoimage", ["-quiet", "-R", "-o", image, content]);
  const { gateway, where } = await throughGateway(sandbox, image, { keys: onDevice() });
  assert.is(where, "/dev/nbd0");
  const { size, pid, backend, isReadOnly } = deviceState();
  assert.is(size, readFileSync(image).byteLength);
  assert.is(pid, gateway.pid);
  assert.is(backend, "nbd-proxy local");
  assert.ok(isReadOnly);

  const mountpoint = sandbox.path("mnt");
  mkdirSync(mountpoint);
  await sandbox.run("mount", ["-t", "iso9660", "-o", "ro", "/dev/nbd0", mountpoint]);
  assert.is(readFileSync(`${mountpoint}/hello.txt`, "utf8"), "hello from the image\n");
  assert.is(await sha256(`${mountpoint}/large.bin`), await sha256(`${content}/large.bin`));
  await sandbox.run("umount", [mountpoint]);
  await endInOrder(gateway);
});

tests(
  "ext4 on a writable export: written to by several processes, checked, and in the file",
  async ({ sandbox, image }) => {
    writeFileSync(image, "");
    truncateSync(image, 64 << 20);
    await sandbox.run("mkfs.ext4", ["-q", image]);
    const { gateway, server } = await throughGateway(sandbox, image, { writable: true, keys: onDevice() });
    assert.not.ok(deviceState().isReadOnly);
    const mountpoint = sandbox.path("mnt");
    mkdirSync(mountpoint);
    await sandbox.run("mount", ["/dev/nbd0", mountpoint]);
    const source = sandbox.path("source");
    writeFileSync(source, pattern(4_000_000));
    const writing = ["a", "b", "c", "d"].map((name) => sandbox.run("cp", [source, `${mountpoint}/${name}`]));
    await Promise.all(writing);
    await sandbox.run("sync");
    await sandbox.run("umount", [mountpoint]);
    await sandbox.run("e2fsck", ["-fn", "/dev/nbd0"]);
    await endInOrder(gateway);
    assert.is(await within(20_000, "nbd-serve's end", server.exit), 0);

    await sandbox.run("e2fsck", ["-fn", image]);
    for (const name of ["a", "b", "c", "d"]) {
      const copy = sandbox.path(name);
      await sandbox.run("debugfs", ["-R", `dump /${name} ${copy}`, image]);
      assert.is(await sha256(copy), await sha256(source), name);
    }
  },
);

tests("what was written without a sync is in the file after an orderly end", async ({ sandbox, image }) => {
  writeFileSync(image, Buffer.alloc(8 << 20));
  const { gateway } = await throughGateway(sandbox, image, { writable: true, keys: onDevice() });
  const source = sandbox.path("source");
  writeFileSync(source, pattern(8 << 20));
  await sandbox.run("dd", [`if=${source}`, "of=/dev/nbd0", "bs=64k", "conv=notrunc"]);
  await endInOrder(gateway);
  assert.is(await sha256(image), await sha256(source));
});

tests(
  "the hook `stop` unmounts a dirty ext4 while the device answers, and nothing is lost",
  async ({ sandbox, image }) => {
    writeFileSync(image, "");
    truncateSync(image, 32 << 20);
    await sandbox.run("mkfs.ext4", ["-q", image]);
    const mountpoint = sandbox.path("mnt");
    mkdirSync(mountpoint);
    const script = `case "$1" in start) mount /dev/nbd0 ${mountpoint};; stop) umount ${mountpoint};; esac || exit`;
    writeHook(sandbox, script);
    const { gateway } = await throughGateway(sandbox, image, { writable: true, keys: onDevice() });
    const bytes = pattern(6_000_000);
    writeFileSync(`${mountpoint}/unsynced`, bytes);
    await endInOrder(gateway);
    assert.equal(hookCalls(sandbox), ["start local", "stop local"]);
    await sandbox.run("e2fsck", ["-fn", image]);
    const copy = sandbox.path("copy");
    await sandbox.run("debugfs", ["-R", `dump /unsynced ${copy}`, image]);
    assert.ok(readFileSync(copy).equals(bytes));
  },
);

tests(
  "a file system that is still mounted at the end: what was written is in the file",
  async ({ sandbox, image }) => {
    writeFileSync(image, "");
    truncateSync(image, 32 << 20);
    await sandbox.run("mkfs.ext4", ["-q", image]);
    const { gateway } = await throughGateway(sandbox, image, { writable: true, keys: onDevice() });
    const mountpoint = sandbox.path("mnt");
    mkdirSync(mountpoint);
    await sandbox.run("mount", ["/dev/nbd0", mountpoint]);
    const bytes = pattern(6_000_000);
    writeFileSync(`${mountpoint}/unsynced`, bytes);
    gateway.kill("SIGTERM");
    assert.is(await within(20_000, "the end", gateway.exit), 0, gateway.stderr);
    await sandbox.run("umount", [mountpoint]);
    await free();
    // As after a power cut: the journal is replayed.
    const checked = sandbox.start("e2fsck", ["-fy", image]);
    assert.ok(Number(await checked.exit) <= 1, checked.stdout);
    const copy = sandbox.path("copy");
    await sandbox.run("debugfs", ["-R", `dump /unsynced ${copy}`, image]);
    assert.ok(readFileSync(copy).equals(bytes));
    assertQuietKernel();
  },
);

const discardable = () => Number(readFileSync("/sys/block/nbd0/queue/discard_max_bytes", "utf8"));

tests(
  "what is discarded is a hole of the file, what is zeroed reads as zeroes",
  async ({ sandbox, image }) => {
    writeFileSync(image, pattern(8 << 20));
    const before = statSync(image).blocks;
    const { gateway } = await throughGateway(sandbox, image, { writable: true, keys: onDevice() });
    assert.ok(discardable() > 0);
    await sandbox.run("blkdiscard", ["--offset", "1048576", "--length", "2097152", "/dev/nbd0"]);
    await sandbox.run("blkdiscard", ["--zeroout", "--offset", "4194304", "--length", "2097152", "/dev/nbd0"]);
    await endInOrder(gateway);
    const after = readFileSync(image);
    assert.ok(after.subarray(4 << 20, 6 << 20).every((byte) => byte === 0));
    assert.ok(after.subarray(6 << 20).equals(pattern(8 << 20).subarray(6 << 20)));
    assert.ok(
      statSync(image).blocks <= before - (2 << 20) / 512,
      `${before}, then ${statSync(image).blocks}`,
    );
  },
);

tests("a remote that can't be written to has nothing to discard", async ({ sandbox, image }) => {
  writeFileSync(image, pattern(1 << 20));
  const { gateway } = await throughGateway(sandbox, image, { keys: onDevice() });
  assert.is(discardable(), 0);
  const write = sandbox.start("dd", ["if=/dev/zero", "of=/dev/nbd0", "bs=4k", "count=1"]);
  assert.is(await write.exit, 1);
  await endInOrder(gateway);
});

tests("fsync(2) and O_SYNC reach the remote as FLUSH or FUA", async ({ sandbox, image }) => {
  writeFileSync(image, pattern(1 << 20));
  const log = sandbox.path("log");
  const proxy = startProxy(sandbox, onDevice());
  const flags = ["-s", "--filter=log", "file", image, `logfile=${log}`];
  const nbdkit = sandbox.start("nbdkit", flags, { wire: true });
  connectWires(proxy, nbdkit);
  await attached(proxy);
  const writing = ["if=/dev/zero", "of=/dev/nbd0", "bs=4k", "count=1", "oflag=direct"];
  const said = () => readFileSync(log, "utf8").match(/ Flush |fua=1/g)?.length ?? 0;
  const before = said();
  await sandbox.run("dd", [...writing, "conv=fsync"]);
  const synced = said();
  assert.ok(synced > before, readFileSync(log, "utf8"));
  await sandbox.run("dd", [...writing, "oflag=sync"]);
  assert.ok(said() > synced, readFileSync(log, "utf8"));
  await endInOrder(proxy);
});

tests("the partitions of an image are there when the hook `start` runs", async ({ sandbox, image }) => {
  writeFileSync(image, "");
  truncateSync(image, 16 << 20);
  const script = sandbox.path("partitions");
  writeFileSync(script, "label: dos\nstart=2048, size=4096, type=83\nstart=8192, type=c\n");
  await sandbox.run("sh", ["-c", `sfdisk -q ${image} < ${script}`]);
  writeHook(sandbox, `ls /dev/nbd0?* > ${sandbox.path("nodes")}`);
  const { gateway } = await throughGateway(sandbox, image, { keys: onDevice() });
  assert.is(readFileSync(sandbox.path("nodes"), "utf8"), "/dev/nbd0p1\n/dev/nbd0p2\n");
  assert.is(readFileSync("/sys/block/nbd0/nbd0p1/size", "utf8").trim(), "4096");
  await endInOrder(gateway);
  assert.not.ok(existsSync("/dev/nbd0p1"), "they go with it");
});

tests("5 GiB, read beyond 4 GiB; a size that is no whole number of sectors", async ({ sandbox, image }) => {
  const size = 5 * 2 ** 30 + 777;
  const marks = [0, 2 ** 32 - 512, 2 ** 32, 5 * 2 ** 30 - 512];
  writeFileSync(image, "");
  truncateSync(image, size);
  const file = openSync(image, "r+");
  for (const at of marks) writeSync(file, `mark at ${at}`, at);
  closeSync(file);
  const { gateway } = await throughGateway(sandbox, image, { keys: onDevice() });
  assert.is(deviceState().size, 5 * 2 ** 30 + 512);
  assert.match(gateway.stderr, "the last 265 bytes do not fill a block, and are not on /dev/nbd0");
  for (const at of marks) {
    const sector = await sandbox.run("dd", ["if=/dev/nbd0", "bs=512", "count=1", `skip=${at / 512}`]);
    assert.is(sector.replace(/\0+$/, ""), `mark at ${at}`);
  }
  await endInOrder(gateway);
});

for (const size of [0, 511]) {
  tests(`an image of ${size} bytes is refused`, async ({ sandbox, image }) => {
    writeFileSync(image, pattern(size));
    const server = await startServer(sandbox, [image]);
    const proxy = startProxy(sandbox, onDevice());
    connectWires(proxy, server);
    assert.is(await within(60_000, "its end", proxy.exit), 1);
    const reason =
      size === 0
        ? "the export is empty, 0 bytes"
        : "the export has 511 bytes, less than one block of 512 bytes";
    assert.match(proxy.stderr, new RegExp(`^nbd-proxy: .*${reason}\n$`));
    assert.equal(hookCalls(sandbox), []);
  });
}

tests(
  "the queue's settings are ours while it is attached, and as before afterwards",
  async ({ sandbox, image }) => {
    writeFileSync(image, pattern(1 << 20));
    const before = queueSettings();
    const first = await throughGateway(sandbox, image, { keys: onDevice() });
    assert.equal(queueSettings(), { max_sectors_kb: 512, read_ahead_kb: 1024, nr_requests: 32 });
    await endInOrder(first.gateway);
    assert.equal(queueSettings(), before);

    const keys = { "max-request-kb": 64, "read-ahead-kb": 256, "block-size": 4096 };
    const second = await throughGateway(sandbox, image, { keys: onDevice(0, keys) });
    assert.equal(queueSettings(), { max_sectors_kb: 64, read_ahead_kb: 256, nr_requests: 128 });
    assert.is(readFileSync("/sys/block/nbd0/queue/logical_block_size", "utf8").trim(), "4096");
    await endInOrder(second.gateway);
    assert.equal(queueSettings(), before);

    // The kernel takes no fewer than 4 requests, so longer ones would make more than 16 MiB.
    const third = await throughGateway(sandbox, image, { keys: onDevice(0, { "max-request-kb": 32_768 }) });
    assert.equal(queueSettings(), { max_sectors_kb: 4096, read_ahead_kb: 1024, nr_requests: 4 });
    await endInOrder(third.gateway);
    assert.equal(queueSettings(), before);
  },
);

const demanding: readonly [access: string, flags: readonly string[], blockSize: string][] = [
  ["writable", [], "2048"],
  // What is read of it is padded, so that partitions and ISO images go on working.
  ["read-only", ["-r"], "512"],
];
for (const [access, flags, blockSize] of demanding) {
  tests(`a ${access} remote that demands blocks of 2048 bytes: ${blockSize}`, async ({ sandbox, image }) => {
    writeFileSync(image, pattern(1 << 20));
    const proxy = startProxy(sandbox, onDevice());
    const policy = ["--filter=blocksize-policy", "file", image];
    const sizes = ["blocksize-error-policy=error", "blocksize-minimum=2048", "blocksize-preferred=4096"];
    const nbdkit = sandbox.start("nbdkit", ["-s", ...flags, ...policy, ...sizes], { wire: true });
    connectWires(proxy, nbdkit);
    await attached(proxy);
    assert.is(readFileSync("/sys/block/nbd0/queue/logical_block_size", "utf8").trim(), blockSize);
    const copy = sandbox.path("copy");
    await sandbox.run("dd", ["if=/dev/nbd0", `of=${copy}`, `bs=${blockSize}`, "iflag=direct", "count=100"]);
    await sandbox.run("dd", ["if=/dev/nbd0", `of=${copy}`, "bs=64k"]);
    assert.is(await sha256(copy), await sha256(image));
    await endInOrder(proxy);
  });
}

// The last one, as the module has other options afterwards.
tests("the kernel's module is loaded where it is missing", async ({ sandbox, image }) => {
  writeFileSync(image, pattern(1 << 20));
  const folder = sandbox.path("programs");
  mkdirSync(folder);
  // The machine's modules are not where modprobe looks for them, and it is run by its path.
  const installed = realpathSync("/usr/sbin/modprobe");
  copyFileSync(installed, `${folder}/modprobe`);
  const modprobe = `${folder}/wrapper`;
  writeFileSync(modprobe, `#!/bin/sh\nexec ${folder}/modprobe --dirname /run/modules "$@"\n`, {
    mode: 0o755,
  });
  await sandbox.run(modprobe, ["-r", "nbd"]);
  await sandbox.run("mount", ["--bind", modprobe, installed]);
  assert.not.ok(existsSync("/sys/block/nbd0"));
  const args = ["--config", writeConfig(sandbox, onDevice())];
  const server = await startServer(sandbox, [image]);
  const proxy = sandbox.start(program("nbd-proxy"), args, { wire: true });
  connectWires(proxy, server);
  await attached(proxy);
  assert.is(deviceState().size, 1 << 20);
  await endInOrder(proxy);
});

tests.run();
