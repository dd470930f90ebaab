/** Runs under QEMU, with two processors: see machine.ts. */
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as assert from "uvu/assert";
import { type Running, root, Sandbox, suite, until, within } from "../../harness.ts";
import { type Entry, pattern, sha256, throughGateway } from "../link.ts";
import { loadWhile } from "../resume/load-while.ts";
import { cutEvery } from "../resume/spoiled-link.ts";
import { throughRelay } from "../resume/through-relay.ts";
import { assertNoErrors, assertQuietKernel, free, hookCalls, onDevice, writeHook } from "./guest.ts";

const PROCESSORS = [0, 1] as const;
const MiB = 2 ** 20;

/** Milliseconds for what takes a moment where nothing is emulated. */
const PATIENCE = 90_000;

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("a kernel device of two sockets");

tests.before(async () => {
  const sandbox = new Sandbox();
  await makeKernelWorkers(sandbox);
  await sandbox.end();
});
tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeHook(context.sandbox);
});
tests.after.each(({ sandbox }) => sandbox.end());

/**
 * Each socket of a device keeps a worker of the kernel busy, and all of these are of one pool, which makes them when
 * it has none left. Where that takes more than 10 ms, as it does here, a rescuer takes what waits, one after the other:
 * the replies on the second socket would wait for the end of the first. So the pool is given its workers beforehand,
 * by devices of one socket, and keeps them for five minutes.
 */
async function makeKernelWorkers(sandbox: Sandbox) {
  const socket = sandbox.path("nbdkit.sock");
  sandbox.start("nbdkit", ["--foreground", "--unix", socket, "memory", "1M"]);
  await until("nbdkit listens", () => existsSync(socket), PATIENCE);
  const devices = [1, 2, 3];
  for (const index of devices) await sandbox.run("nbd-client", ["-unix", socket, `/dev/nbd${index}`]);
  for (const index of devices) {
    await sandbox.run("nbd-client", ["-d", `/dev/nbd${index}`]);
    await free(index, PATIENCE);
  }
}

const counting = pathToFileURL(join(root, "test/system/kernel/kernel-sockets.mjs"));

/** FILE ▸ nbd-serve ▸ nbd-gateway ▸ two sockets ▸ /dev/nbd0. The gateway can tell what comes in on each. */
const twoSockets = (sandbox: Sandbox, image: string, keys: Entry = {}) =>
  throughGateway(sandbox, image, {
    writable: true,
    keys: onDevice(0, { ...keys, connections: PROCESSORS.length, "state-hook": sandbox.path("state") }),
    env: { NODE_OPTIONS: `--import ${counting}` },
  });

/** Bytes that the gateway has had from the kernel on each socket, which is named by its descriptor. */
async function received(gateway: Running): Promise<Map<string, number>> {
  const said = () => [...gateway.stderr.matchAll(/^kernel sockets (.*)$/gm)];
  const before = said().length;
  gateway.kill("SIGUSR2");
  await until("the gateway tells its sockets", () => said().length > before, PATIENCE);
  return new Map(Object.entries(JSON.parse(said().at(-1)![1]!) as Record<string, number>));
}

/** What came in on each socket while something was done. */
async function receivedDuring(
  gateway: Running,
  action: () => Promise<unknown>,
): Promise<Map<string, number>> {
  const before = await received(gateway);
  await action();
  const after = await received(gateway);
  return new Map([...after].map(([socket, bytes]) => [socket, bytes - before.get(socket)!]));
}

/** The kernel has no timer of its own then: who reads is told by the gateway, or never. */
const BY_OURSELVES: Entry = { timeout: 0 };

/** Bytes of a request that carries no data. */
const REQUEST = 28;

tests("each processor has a queue, and each queue a socket of its own", async ({ sandbox, image }) => {
  writeFileSync(image, pattern(2 * MiB));
  const { gateway, server } = await twoSockets(sandbox, image);
  const queues = readdirSync("/sys/block/nbd0/mq").sort();
  assert.equal(queues, ["0", "1"]);
  for (const queue of queues)
    assert.is(readFileSync(`/sys/block/nbd0/mq/${queue}/cpu_list`, "utf8").trim(), queue);

  const count = 100;
  const used: string[][] = [];
  for (const processor of PROCESSORS) {
    const reading = ["dd", "if=/dev/nbd0", "of=/dev/null", "bs=4k", `count=${count}`, "iflag=direct"];
    const bytes = await receivedDuring(gateway, () =>
      sandbox.run("taskset", ["--cpu-list", `${processor}`, ...reading]),
    );
    assert.is(bytes.size, PROCESSORS.length, gateway.stderr);
    used.push([...bytes].filter(([, grown]) => grown >= count * REQUEST).map(([socket]) => socket));
  }
  assert.equal(
    used.map((sockets) => sockets.length),
    [1, 1],
    "each processor used one socket",
  );
  assert.is.not(used[0]![0], used[1]![0], "and the other another");
  await endInOrder(gateway, server);
});

tests("reads and writes on both processors at once are those of the file", async ({ sandbox, image }) => {
  writeFileSync(image, pattern(16 * MiB));
  const original = await sha256(image);
  const { gateway, server } = await twoSockets(sandbox, image);
  const copies = PROCESSORS.map((processor) => ({ processor, file: sandbox.path(`copy${processor}`) }));
  const bytes = await receivedDuring(gateway, () =>
    Promise.all(
      copies.map(({ processor, file }) =>
        sandbox.run("taskset", [
          "--cpu-list",
          `${processor}`,
          ...["dd", "if=/dev/nbd0", `of=${file}`, "bs=256k", "iflag=direct"],
        ]),
      ),
    ),
  );
  for (const [socket, grown] of bytes) assert.ok(grown >= 16 * REQUEST, `socket ${socket}: ${grown} bytes`);
  for (const { file } of copies) assert.is(await sha256(file), original);

  const output = await sandbox.run("fio", [
    "--name=verify",
    "--filename=/dev/nbd0",
    "--numjobs=2",
    "--cpus_allowed=0,1",
    "--cpus_allowed_policy=split",
    "--size=4m",
    "--offset_increment=8m",
    "--rw=randwrite",
    "--bsrange=4k-128k",
    "--ioengine=libaio",
    "--iodepth=8",
    "--direct=1",
    "--verify=crc32c",
    "--verify_fatal=1",
    "--end_fsync=1",
    "--output-format=json",
  ]);
  const { jobs } = JSON.parse(output.slice(output.indexOf("{"))) as {
    jobs: { error: number; read: { total_ios: number }; write: { total_ios: number } }[];
  };
  assert.is(jobs.length, PROCESSORS.length);
  for (const { error, read, write } of jobs) {
    assert.is(error, 0);
    assert.ok(write.total_ios > 0 && read.total_ios > 0, "it wrote and read back");
  }
  const device = sandbox.path("device");
  await sandbox.run("dd", ["if=/dev/nbd0", `of=${device}`, "bs=1M", "iflag=direct"]);
  await endInOrder(gateway, server);
  assert.is.not(await sha256(image), original);
  assert.is(await sha256(image), await sha256(device));
});

/** Reads the device without an end on each processor, and waits until both are in the middle of that. */
async function startReading(sandbox: Sandbox, gateway: Running): Promise<Running[]> {
  const before = await received(gateway);
  const readers = PROCESSORS.map((processor) =>
    sandbox.start("taskset", [
      "--cpu-list",
      `${processor}`,
      ...["dd", "if=/dev/nbd0", "of=/dev/null", "bs=64k", "iflag=direct"],
    ]),
  );
  await until(
    "both processors read",
    async () => {
      const now = await received(gateway);
      return [...now].every(([socket, bytes]) => bytes >= before.get(socket)! + 20 * REQUEST);
    },
    PATIENCE,
  );
  return readers;
}

async function assertFails(readers: readonly Running[]) {
  for (const dd of readers) {
    assert.is(await within(PATIENCE, "the end of dd", dd.exit), 1);
    assert.match(dd.stderr, "Input/output error");
  }
}

tests("a link that is killed ends the reads on both processors, and the next attaches", async (context) => {
  const { sandbox, image } = context;
  writeFileSync(image, "");
  truncateSync(image, 64 * 1024 * MiB);
  const { gateway, server } = await twoSockets(sandbox, image, { ...BY_OURSELVES, resume: 0 });
  const readers = await startReading(sandbox, gateway);
  server.kill("SIGKILL");
  await assertFails(readers);
  await free(0, PATIENCE);
  assert.is(gateway.process.exitCode, null);
  await until("the hook has said stop", () => hookCalls(sandbox)[1] === "stop local", PATIENCE);
  gateway.kill();
  assert.is(await within(PATIENCE, "the gateway's end", gateway.exit), 0, gateway.stderr);
  assertQuietKernel();
});

tests("a link that is cut again and again fails nothing on either processor", async ({ sandbox, image }) => {
  writeFileSync(image, "");
  truncateSync(image, 16 * MiB);
  const keys = onDevice(0, { connections: PROCESSORS.length, resume: 300 });
  const scene = await throughRelay(sandbox, image, { writable: true, keys });
  const load = [
    ...["--filename=/dev/nbd0", "--ioengine=libaio", "--direct=1", "--size=2m", "--rate_iops=40,40"],
    ...["--numjobs=2", "--offset_increment=8m", "--cpus_allowed=0,1", "--cpus_allowed_policy=split"],
  ];
  await loadWhile(sandbox, scene, { spoil: cutEvery(4000), least: 3, load });
  const device = sandbox.path("device");
  await sandbox.run("dd", ["if=/dev/nbd0", `of=${device}`, "bs=1M", "iflag=direct"]);
  await endInOrder(scene.gateway, scene.server);
  assert.is(await sha256(image), await sha256(device));
  assert.equal(hookCalls(sandbox), ["start local", "stop local"]);
  assertNoErrors();
});

tests("SIGTERM ends the reads on both processors", async ({ sandbox, image }) => {
  writeFileSync(image, "");
  truncateSync(image, 64 * 1024 * MiB);
  const { gateway, server } = await twoSockets(sandbox, image, BY_OURSELVES);
  const readers = await startReading(sandbox, gateway);
  gateway.kill();
  await assertFails(readers);
  assert.is(await within(PATIENCE, "the gateway's end", gateway.exit), 0, gateway.stderr);
  await within(PATIENCE, "nbd-serve's end", server.exit);
  await free(0, PATIENCE);
  assertQuietKernel();
});

/** Ends a session as an operator does; nobody must have anything to complain of, and the device is free. */
async function endInOrder(gateway: Running, server: Running) {
  gateway.kill("SIGTERM");
  assert.is(await within(PATIENCE, "the gateway's end", gateway.exit), 0, gateway.stderr);
  assert.is(await within(PATIENCE, "nbd-serve's end", server.exit), 0, server.stderr);
  await free(0, PATIENCE);
  assertQuietKernel();
}

tests.run();
