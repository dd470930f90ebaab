/** Runs in User-Mode Linux: see machine.ts. */
import { chmodSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { program, type Running, Sandbox, suite, until, within } from "../../harness.ts";
import { startWebsocketd } from "../../websocketd.ts";
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
  setQueue,
  writeHook,
} from "./guest.ts";

interface Context {
  sandbox: Sandbox;
  /** Takes long to read. */
  image: string;
}

const tests = suite<Context>("the ends of a kernel device");

/** Those of a device that nobody has used yet. */
const settings = queueSettings();

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, "");
  truncateSync(context.image, 8 * 2 ** 30);
  writeHook(context.sandbox);
});
tests.after.each(({ sandbox }) => sandbox.end());

/** Seconds: enough for programs to start in, where a system call costs many times what it does elsewhere. */
const TIMEOUT = 10;

const SERVE = program("nbd-serve");

/** nbd-proxy and an nbd-serve, connected by their standard input and output. */
async function session(sandbox: Sandbox, image: string, keys: object = {}) {
  const server = await startServer(sandbox, [image]);
  const proxy = startProxy(sandbox, onDevice(0, { ...keys }));
  connectWires(proxy, server);
  await attached(proxy);
  return { proxy, server };
}

/** Starts to read the device, and waits until it is in the middle of that. */
async function startReading(sandbox: Sandbox): Promise<Running> {
  const before = sectorsRead();
  const dd = sandbox.start("dd", ["if=/dev/nbd0", "of=/dev/null", "bs=64k"]);
  await until("dd reads", () => sectorsRead() > before + 4096, 60_000);
  return dd;
}

/** What was read of the device since it is there (Documentation/block/stat.rst of the kernel). */
const sectorsRead = () => Number(readFileSync("/sys/block/nbd0/stat", "utf8").trim().split(/\s+/)[2]);

async function assertFails(dd: Running, milliseconds: number) {
  assert.is(await within(milliseconds, "the end of dd", dd.exit), 1);
  assert.match(dd.stderr, "Input/output error");
}

/** Nothing is attached, the hook was told, and the same attaches again at once. */
async function assertOver(sandbox: Sandbox, image: string, calls = ["start local", "stop local"]) {
  await free();
  await until("the hook has said what it must", () => hookCalls(sandbox).length >= calls.length);
  assert.equal(hookCalls(sandbox), calls);
  const { proxy } = await session(sandbox, image);
  proxy.kill("SIGTERM");
  assert.is(await within(10_000, "its end", proxy.exit), 0, proxy.stderr);
  assert.equal(hookCalls(sandbox), [...calls, "start local", "stop local"]);
  await free();
  assertQuietKernel();
}

tests(
  "a second session is refused before anything is touched, and the first goes on",
  async ({ sandbox, image }) => {
    writeFileSync(image, pattern(30_000_128));
    const { proxy } = await session(sandbox, image);
    const copy = sandbox.path("copy");
    const dd = sandbox.start("dd", ["if=/dev/nbd0", `of=${copy}`, "bs=64k", "iflag=direct"]);
    await until("dd has begun", () => existsSync(copy) && statSync(copy).size > 0);
    dd.kill("SIGSTOP");
    const config = writeConfig(sandbox, onDevice());
    const second = sandbox.start(program("nbd-proxy"), ["--config", config], { wire: true });
    let said = 0;
    second.process.stdout!.on("data", (chunk) => {
      said += chunk.length;
    });
    assert.is(await within(60_000, "the end of the second", second.exit), 1);
    assert.is(
      second.stderr,
      `nbd-proxy: ${config}: configuration "local": "nbd-device": /dev/nbd0 is in use by another session, of process ${proxy.pid}\n`,
    );
    assert.is(said, 0);
    assert.ok(statSync(copy).size < statSync(image).size, "dd is in the middle of it");
    dd.kill("SIGCONT");
    assert.is(await within(120_000, "the end of dd", dd.exit), 0);
    assert.is(await sha256(copy), await sha256(image));
    assert.equal(hookCalls(sandbox), ["start local"]);
    proxy.kill("SIGTERM");
    assert.is(await within(10_000, "the end of the first", proxy.exit), 0, proxy.stderr);
    await assertOver(sandbox, image);
  },
);

tests("a device that nbd-client has attached is not touched", async ({ sandbox, image }) => {
  const socket = sandbox.path("nbdkit.sock");
  const nbdkit = sandbox.start("nbdkit", ["-f", "-r", "-U", socket, "file", image]);
  await until(
    "nbd-client attaches",
    async () => {
      const client = sandbox.start("nbd-client", ["-unix", socket, "/dev/nbd0"]);
      return (await client.exit) === 0;
    },
    60_000,
  );
  const { size, pid } = deviceState();
  const proxy = startProxy(sandbox, onDevice());
  assert.is(await within(60_000, "its end", proxy.exit), 1);
  assert.match(proxy.stderr, /: "nbd-device": \/dev\/nbd0 is in use by process \d+/);
  assert.equal([deviceState().size, deviceState().pid], [size, pid]);
  assert.equal(hookCalls(sandbox), []);
  await sandbox.run("nbd-client", ["-d", "/dev/nbd0"]);
  nbdkit.kill();
  await free();
});

tests("a device that somebody has open is refused", async ({ sandbox, image }) => {
  const holder = sandbox.start("sh", ["-c", "exec 3</dev/nbd0; exec sleep 1000"]);
  await until("it is open", () => readFileSync(`/proc/${holder.pid}/comm`, "utf8") === "sleep\n");
  const server = await startServer(sandbox, [image]);
  const proxy = startProxy(sandbox, onDevice());
  connectWires(proxy, server);
  assert.is(await within(60_000, "its end", proxy.exit), 1);
  assert.is(
    proxy.stderr,
    `nbd-proxy: configuration "local": attaching /dev/nbd0: it is in use, by process ${holder.pid} "sleep"\n`,
  );
  assert.equal(hookCalls(sandbox), []);
  holder.kill("SIGKILL");
  await holder.exit;
  await assertOver(sandbox, image, []);
});

tests("under websocketd, the WebSocket is killed while the device is read", async ({ sandbox, image }) => {
  const config = writeConfig(sandbox, onDevice());
  const websocketd = await startWebsocketd(sandbox, [program("nbd-proxy"), "--config", config]);
  const origin = websocketd.page.replace(/\/$/, "");
  const serve = () => sandbox.start(SERVE, ["--origin", origin, image, websocketd.endpoint]);
  const server = serve();
  await until("it is attached", () => hookCalls(sandbox).length === 1, 60_000);
  const dd = await startReading(sandbox);
  server.kill("SIGKILL");
  await assertFails(dd, 2000);
  await until("the hook has said stop", () => hookCalls(sandbox)[1] === "stop local");
  // websocketd gives the proxy 850 ms, which do for the device, and on a busy machine not always for its queue's settings.
  await free();
  const again = serve();
  await until("it is attached again", () => hookCalls(sandbox).length === 3, 60_000);
  assert.is(deviceState().size, 8 * 2 ** 30);
  again.kill("SIGTERM");
  await until("the hook has said stop again", () => hookCalls(sandbox).length === 4);
  await free();
  assertQuietKernel();
});

tests("the gateway's WebSocket is killed while the device is read", async ({ sandbox, image }) => {
  setQueue(settings);
  const keys = onDevice(0, { resume: 0 });
  const { gateway, server } = await throughGateway(sandbox, image, { keys });
  const dd = await startReading(sandbox);
  assert.not.equal(queueSettings(), settings);
  server.kill("SIGKILL");
  await assertFails(dd, 2000);
  await free();
  await until("the queue is as before", () => JSON.stringify(queueSettings()) === JSON.stringify(settings));
  assert.is(gateway.process.exitCode, null);
  gateway.kill();
  assert.is(await within(10_000, "the gateway's end", gateway.exit), 0);
  await assertOver(sandbox, image);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  tests(`${signal} while the device is read`, async ({ sandbox, image }) => {
    const { proxy, server } = await session(sandbox, image);
    const dd = await startReading(sandbox);
    proxy.kill(signal);
    await assertFails(dd, 2000);
    assert.is(await within(10_000, "the proxy's end", proxy.exit), 0, proxy.stderr);
    assert.is(await within(10_000, "the server's end", server.exit), 0, server.stderr);
    await assertOver(sandbox, image);
  });
}

tests("nbd-client -d while the device is read", async ({ sandbox, image }) => {
  const { proxy, server } = await session(sandbox, image);
  const dd = await startReading(sandbox);
  await sandbox.run("nbd-client", ["-d", "/dev/nbd0"]);
  await assertFails(dd, 2000);
  assert.is(await within(10_000, "the proxy's end", proxy.exit), 0, proxy.stderr);
  assert.is(await within(10_000, "the server's end", server.exit), 0, server.stderr);
  await assertOver(sandbox, image);
});

tests(
  "a remote that does not answer any more: EIO after the timeout, by the proxy itself",
  async ({ sandbox, image }) => {
    const { proxy, server } = await session(sandbox, image, { timeout: TIMEOUT });
    const dd = await startReading(sandbox);
    server.kill("SIGSTOP");
    await assertFails(dd, (TIMEOUT + 4) * 1000); // the kernel's own timer runs 5 s longer than the proxy's
    assert.is(await within(10_000, "the proxy's end", proxy.exit), 1);
    assert.match(
      proxy.stderr,
      /^nbd-proxy: .* on \/dev\/nbd0\nnbd-proxy: the server did not answer a READ at \d+ for 10 s\n$/,
    );
    await assertOver(sandbox, image);
  },
);

tests(
  "SIGKILL of the proxy: the kernel gives up by itself, and the next session cleans up",
  async ({ sandbox, image }) => {
    const { proxy, server } = await session(sandbox, image, { timeout: TIMEOUT });
    server.kill("SIGSTOP"); // so that something is outstanding
    const dd = sandbox.start("dd", ["if=/dev/nbd0", "of=/dev/null", "bs=64k", "iflag=direct", "skip=100000"]);
    await until(
      "dd waits",
      () => readFileSync("/sys/block/nbd0/inflight", "utf8").trim().split(/\s+/)[0] !== "0",
    );
    proxy.kill("SIGKILL");
    await assertFails(dd, (TIMEOUT + 10) * 1000);
    assert.is(deviceState().backend, "nbd-proxy local");
    assert.equal(hookCalls(sandbox), ["start local"]);
    // What the hook was not told, it is not told by the next one either.
    const next = await session(sandbox, image);
    assert.is(deviceState().pid, next.proxy.pid);
    next.proxy.kill("SIGTERM");
    assert.is(await within(10_000, "its end", next.proxy.exit), 0, next.proxy.stderr);
    await free();
    assert.equal(hookCalls(sandbox), ["start local", "start local", "stop local"]);
    assertQuietKernel();
  },
);

tests("a fault of the proxy's own: EIO at once, and no hang", async ({ sandbox, image }) => {
  const fault = sandbox.path("fault.mjs");
  writeFileSync(fault, 'process.on("SIGUSR2", () => { throw new Error("a fault of its own"); });');
  const env = { NODE_OPTIONS: `--import ${fault}` };
  const { gateway, server } = await throughGateway(sandbox, image, {
    keys: onDevice(0, { timeout: TIMEOUT }),
    env,
  });
  server.kill("SIGSTOP"); // so that something is outstanding
  const dd = sandbox.start("dd", ["if=/dev/nbd0", "of=/dev/null", "bs=64k", "iflag=direct", "skip=100000"]);
  await until(
    "dd waits",
    () => readFileSync("/sys/block/nbd0/inflight", "utf8").trim().split(/\s+/)[0] !== "0",
  );
  gateway.kill("SIGUSR2");
  await assertFails(dd, 2000);
  assert.is(await within(10_000, "its end", gateway.exit), 1);
  assert.match(gateway.stderr, "a fault of its own");
  await assertOver(sandbox, image, ["start local"]);
});

tests("what is attached while the hook runs `stop` is somebody else's", async ({ sandbox, image }) => {
  const socket = sandbox.path("nbdkit.sock");
  sandbox.start("nbdkit", ["-f", "-r", "-U", socket, "memory", "1M"]);
  const attach = `until nbd-client -unix ${socket} /dev/nbd0; do sleep 0.1; done`;
  writeHook(sandbox, `[ "$1" = start ] || { ${attach}; } > /dev/null 2>&1`);
  const { proxy } = await session(sandbox, image);
  await sandbox.run("nbd-client", ["-d", "/dev/nbd0"]);
  assert.is(await within(30_000, "its end", proxy.exit), 0, proxy.stderr);
  assert.equal(hookCalls(sandbox), ["start local", "stop local"]);
  assert.is(deviceState().size, 1 << 20);
  await sandbox.run("dd", ["if=/dev/nbd0", "of=/dev/null", "bs=64k", "iflag=direct"]);
  await sandbox.run("nbd-client", ["-d", "/dev/nbd0"]);
  await free();
});

tests("nbd-client -d while the hook runs `start`: it is ended before `stop`", async ({ sandbox, image }) => {
  const calls = sandbox.path("calls");
  writeHook(sandbox, `[ "$1" = stop ] || { echo begin >> ${calls}; exec sleep 1000; }`);
  const server = await startServer(sandbox, [image]);
  const proxy = startProxy(sandbox, onDevice());
  connectWires(proxy, server);
  await until("the hook runs", () => hookCalls(sandbox).length === 1, 60_000);
  await sandbox.run("nbd-client", ["-d", "/dev/nbd0"]);
  assert.is(await within(20_000, "its end", proxy.exit), 0, proxy.stderr);
  assert.equal(hookCalls(sandbox), ["begin", "stop local"]);
  await free();
});

tests("without permission: one line, and nothing is touched", async ({ sandbox }) => {
  const config = writeConfig(sandbox, onDevice());
  chmodSync(sandbox.folder, 0o755);
  const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
  const proxy = sandbox.start("setpriv", [...nobody, program("nbd-proxy"), "--config", config], {
    wire: true,
  });
  assert.is(await within(60_000, "its end", proxy.exit), 1);
  assert.is(
    proxy.stderr,
    `nbd-proxy: ${config}: configuration "local": "nbd-device": permission denied: only root may attach a device\n`,
  );
});

tests("what another configuration's killed session has left is not touched", async ({ sandbox, image }) => {
  const { proxy } = await session(sandbox, image);
  proxy.kill("SIGKILL");
  await proxy.exit;
  const config = sandbox.path("other.json");
  writeFileSync(config, JSON.stringify({ configurations: { other: { "nbd-device": "/dev/nbd0" } } }));
  const other = sandbox.start(program("nbd-proxy"), ["--config", config], { wire: true });
  assert.is(await within(60_000, "its end", other.exit), 1);
  assert.match(
    other.stderr,
    /is in use by process \d+, which has ended and left it attached; "nbd-client -d" detaches it\n$/,
  );
  await sandbox.run("nbd-client", ["-d", "/dev/nbd0"]);
  await free();
});

tests.run();
