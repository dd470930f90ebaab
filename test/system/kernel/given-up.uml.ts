/** Runs in User-Mode Linux: see machine.ts. */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { post } from "../../../src/node/login/post.ts";
import { program, type Running, Sandbox, suite, until, within } from "../../harness.ts";
import { attached, type Entry, startGateway } from "../link.ts";
import { timesLost } from "../resume/spoiled-link.ts";
import { assertQuietKernel, deviceState, free, hookCalls, onDevice, writeHook } from "./guest.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
  mountpoint: string;
}

const tests = suite<Context>("a kernel device whose link is lost for good");

/** Seconds for which the disk waits, and after which a request without an answer has its link given up. */
const RESUME = 6;
const TIMEOUT = 30;

/** Milliseconds for programs to start and end in. */
const PATIENCE = 60_000;

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  context.mountpoint = context.sandbox.path("mnt");
  mkdirSync(context.mountpoint);
  writeFileSync(context.image, "");
  truncateSync(context.image, 64 << 20);
  writeHook(context.sandbox, `[ "$1" = start ] || umount --lazy ${context.mountpoint}`);
});
tests.after.each(async ({ sandbox, mountpoint }) => {
  await sandbox.run("sh", ["-c", `umount --lazy ${mountpoint} 2>/dev/null; true`]);
  await sandbox.end();
});

interface Scene {
  gateway: Running & { url: string };
  server: Running;
}

const serve = ({ sandbox, image }: Context, { gateway }: Pick<Scene, "gateway">): Running =>
  sandbox.start(program("nbd-serve"), ["--writable", image, `${gateway.url}local`]);

/** A device with an ext4 that is mounted, and has a file. */
async function begin(context: Context, keys: Entry): Promise<Scene> {
  const { sandbox, mountpoint } = context;
  const gateway = await startGateway(sandbox, onDevice(0, { timeout: TIMEOUT, ...keys }));
  const server = serve(context, { gateway });
  await attached(gateway);
  // Nothing is to be in flight but what the test asks for.
  await sandbox.run("mkfs.ext4", ["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", "/dev/nbd0"]);
  await sandbox.run("mount", ["/dev/nbd0", mountpoint]);
  writeFileSync(`${mountpoint}/file`, "written\n");
  await sandbox.run("sync", ["--file-system", mountpoint]);
  return { gateway, server };
}

/** Reads a block of the device, past what the kernel keeps. */
const read = (sandbox: Sandbox, block: number): Running =>
  sandbox.start("dd", ["if=/dev/nbd0", "of=/dev/null", "bs=4k", "count=1", `skip=${block}`, "iflag=direct"]);

/** Requests that are sent to the device. */
const inFlight = () =>
  readFileSync("/sys/block/nbd0/inflight", "utf8")
    .trim()
    .split(/\s+/)
    .reduce((sum, count) => sum + Number(count), 0);

/** Has something asked of the device; it waits for an answer then. */
async function ask(start: () => Running): Promise<Running> {
  const before = inFlight();
  const asking = start();
  await until("it has asked", () => inFlight() > before, PATIENCE);
  return asking;
}

/** Kills the server for good. Some ask before, without an answer, and others later. */
async function lose({ sandbox, mountpoint }: Context, { gateway, server }: Scene): Promise<Running[]> {
  server.kill("SIGSTOP");
  const before = await ask(() => read(sandbox, 9000));
  server.kill("SIGKILL");
  await until("the gateway waits", () => timesLost(gateway) === 1, PATIENCE);
  const write = ["if=/dev/zero", `of=${mountpoint}/other`, "bs=4k", "count=4", "conv=fsync"];
  return [before, await ask(() => read(sandbox, 10_000)), await ask(() => sandbox.start("dd", write))];
}

/** Each has failed with EIO within so many milliseconds. */
async function haveFailed(readers: readonly Running[], milliseconds: number): Promise<void> {
  for (const exit of await within(milliseconds, "EIO", Promise.all(readers.map(({ exit }) => exit))))
    assert.is(exit, 1);
  for (const { stderr } of readers) assert.match(stderr, "Input/output error");
}

/** Nothing is left of the session. */
async function isOver({ sandbox }: Context): Promise<void> {
  await free();
  await until("the hook has said stop", () => hookCalls(sandbox).length === 2, PATIENCE);
  assert.equal(hookCalls(sandbox), ["start local", "stop local"]);
}

/** The next session is attached, and has what was made safe in the one before. */
async function nextIsServed(context: Context, { gateway }: Scene): Promise<Running> {
  const { sandbox, mountpoint } = context;
  const server = serve(context, { gateway });
  const isAttached = () => gateway.stderr.split(" bytes, writable, on /dev/nbd0").length > 2;
  await until("the next is attached", isAttached, PATIENCE);
  await sandbox.run("mount", ["/dev/nbd0", mountpoint]);
  assert.is(readFileSync(`${mountpoint}/file`, "utf8"), "written\n");
  return server;
}

async function endsInOrder({ gateway }: Scene): Promise<void> {
  gateway.kill("SIGTERM");
  assert.is(await within(20_000, "the gateway's end", gateway.exit), 0, gateway.stderr);
  await free();
  assertQuietKernel();
}

tests("nobody comes back: EIO within a second after the wait, and the next attaches", async (context) => {
  const scene = await begin(context, { resume: RESUME });
  const { gateway } = scene;
  const readers = await lose(context, scene);
  const ends = readers.map(({ exit }) => exit.then(() => performance.now()));
  await haveFailed(readers, (RESUME + 1) * 1000);
  const told = () => gateway.stderr.match(/^nbd-gateway: local: nobody came back .*$/gm) ?? [];
  await until("it says so", () => told().length > 0);
  assert.equal(told(), [`nbd-gateway: local: nobody came back within ${RESUME} s: the disk is given up`]);
  const [first = 0, ...others] = await Promise.all(ends);
  for (const other of others) assert.ok(Math.abs(other - first) < 1000, "all fail at the same time");
  await isOver(context);
  await nextIsServed(context, scene);
  await endsInOrder(scene);
});

tests(
  "ejected while it waits, EIO comes at once; and so does the end where there is a link",
  async (context) => {
    const scene = await begin(context, { resume: 300 });
    const { gateway } = scene;
    const eject = async () => {
      const door = new URL("eject/local", gateway.url.replace(/^ws/, "http"));
      const { statusCode } = await post(door, undefined, {}, AbortSignal.timeout(PATIENCE));
      assert.is(statusCode, 204);
    };
    const readers = await lose(context, scene);
    await eject();
    await haveFailed(readers, 1000);
    await isOver(context);
    const server = await nextIsServed(context, scene);
    await eject();
    assert.is(deviceState().pid, undefined);
    assert.equal(hookCalls(context.sandbox).slice(2), ["start local", "stop local"]);
    assert.is(await within(20_000, "the server's end", server.exit), 0, server.stderr);
    await endsInOrder(scene);
  },
);

tests("SIGTERM while it waits: EIO at once, and nothing is left", async (context) => {
  const scene = await begin(context, { resume: 300 });
  const { gateway } = scene;
  const readers = await lose(context, scene);
  gateway.kill("SIGTERM");
  await haveFailed(readers, 5000);
  // What was asked for last is lost.
  assert.is(await within(20_000, "the gateway's end", gateway.exit), 1, gateway.stderr);
  await isOver(context);
  assertQuietKernel();
});

tests("with resume 0 a lost link is an end, as ever", async (context) => {
  const scene = await begin(context, { resume: 0 });
  const { gateway, server } = scene;
  assert.is(readFileSync("/sys/block/nbd0/queue/io_timeout", "utf8").trim(), `${1000 * (TIMEOUT + 5)}`);
  server.kill("SIGSTOP");
  const reader = await ask(() => read(context.sandbox, 9000));
  server.kill("SIGKILL");
  await haveFailed([reader], 2000);
  await isOver(context);
  assert.is(timesLost(gateway), 0);
  await nextIsServed(context, scene);
  await endsInOrder(scene);
});

tests.run();
