/** Runs in User-Mode Linux: see machine.ts. */
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { memoryExport } from "../../../src/export/memory.ts";
import { serve } from "../../../src/serve.ts";
import { webSocket } from "../../../src/transport/websocket.ts";
import { Sandbox, suite, until, within } from "../../harness.ts";
import { startGateway } from "../link.ts";
import { assertQuietKernel, deviceState, free, hookCalls, onDevice, writeHook } from "./guest.ts";

interface Context {
  sandbox: Sandbox;
}

const tests = suite<Context>("taking a kernel device over");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

const SIZE = 4 << 20;

/** Serves from within this process, since a program takes seconds to start here. */
function serveHere(url: string, bytes: Uint8Array) {
  const socket = new WebSocket(url, { perMessageDeflate: false, headers: { "Nbd-Take-Over": "1" } });
  const closed = new Promise<string>((resolve) =>
    socket.once("close", (code, reason) => resolve(`${code} ${reason}`)),
  );
  const end = new AbortController();
  serve(webSocket(socket), memoryExport(bytes), { signal: end.signal }).catch(() => {});
  return { socket, closed, end: () => end.abort() };
}

tests(
  "10 takeovers of a device that the hook mounts and writes to: none loses what was written",
  async ({ sandbox }) => {
    const disk = sandbox.path("disk.img");
    await sandbox.run("sh", ["-c", `truncate -s ${SIZE} ${disk} && mkfs.ext2 -q ${disk}`]);
    const mountpoint = sandbox.path("mnt");
    mkdirSync(mountpoint);
    writeHook(
      sandbox,
      `case "$1" in
      start) mount /dev/nbd0 ${mountpoint} && echo written > ${mountpoint}/file;;
      stop) umount ${mountpoint};;
    esac || exit`,
    );
    const gateway = await startGateway(sandbox, onDevice(0, { "take-over-interval": 0 }));
    const isAttached = (times: number) => () => gateway.stderr.split(" on /dev/nbd0").length > times;
    const images: Uint8Array[] = [];
    let last: ReturnType<typeof serveHere> | undefined;
    for (let i = 0; i <= 10; i++) {
      const bytes = Uint8Array.from(readFileSync(disk));
      images.push(bytes);
      const next = serveHere(gateway.url, bytes);
      if (last) assert.is(await within(60_000, "the end", last.closed), "4001 taken over by 127.0.0.1");
      await until("it is attached", isAttached(i + 1), 60_000);
      last = next;
    }
    assert.is(deviceState().pid, gateway.pid);
    // The last one ends in order as the others did.
    gateway.kill("SIGTERM");
    assert.is(await within(60_000, "the gateway", gateway.exit), 0, gateway.stderr);
    await free();
    assert.equal(
      hookCalls(sandbox),
      images.flatMap(() => ["start local", "stop local"]),
    );
    for (const bytes of images) assert.ok(Buffer.from(bytes).includes("written\n"), "what the hook wrote");
    assertQuietKernel();
  },
);

/** Processes that this one has started, and theirs. */
function offspring(pid: number): number[] {
  const children = readdirSync("/proc").filter((name) => {
    try {
      return (
        /^\d+$/.test(name) &&
        Number(/\) \S (\d+) /.exec(readFileSync(`/proc/${name}/stat`, "utf8"))?.[1]) === pid
      );
    } catch {
      return false; // it has gone
    }
  });
  return children.flatMap((child) => [Number(child), ...offspring(Number(child))]);
}

const descriptorsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

tests("10 rapid takeovers leave no process, descriptor or device behind", async ({ sandbox }) => {
  writeHook(sandbox);
  const gateway = await startGateway(sandbox, onDevice(0, { "take-over-interval": 0 }));
  /** Whether a server of this size has the device, and its hook has been called. */
  const isServed = (size: number) => () => deviceState().size === size && hookCalls(sandbox).length % 2 === 1;
  // What is loaded once is there after the first session.
  const first = serveHere(gateway.url, new Uint8Array(SIZE));
  await until("the first is served", isServed(SIZE), 60_000);
  first.end();
  await free(0, 60_000);
  await until("its hook is over", () => hookCalls(sandbox).length === 2, 60_000);
  const before = descriptorsOf(gateway.pid);

  const sizeOf = (i: number) => SIZE + 4096 * i;
  const servers: ReturnType<typeof serveHere>[] = [];
  for (let i = 0; i <= 10; i++) {
    const server = serveHere(gateway.url, new Uint8Array(sizeOf(i)));
    servers.push(server);
    // The next one comes wherever this one is by then; now and then it has the device.
    await within(60_000, "the WebSocket", once(server.socket, "open"));
    if (i % 4 === 0) await until("it is served", isServed(sizeOf(i)), 60_000);
  }
  const last = servers.pop()!;
  const ends = await within(
    120_000,
    "the end of the others",
    Promise.all(servers.map(({ closed }) => closed)),
  );
  assert.equal(new Set(ends), new Set(["4001 taken over by 127.0.0.1"]));
  await until("the last is served", isServed(sizeOf(10)), 60_000);
  last.end();
  await last.closed;
  await free(0, 60_000);
  await until("each hook is over", () => hookCalls(sandbox).length % 2 === 0, 60_000);
  const calls = hookCalls(sandbox);
  assert.equal(
    calls,
    calls.map((_, i) => (i % 2 === 0 ? "start local" : "stop local")),
  );
  await until("no process is left", () => offspring(gateway.pid).length === 0, 60_000);
  await until("no descriptor is left", () => descriptorsOf(gateway.pid) <= before, 60_000);
  assert.equal(
    readdirSync("/sys/block").filter((name) => /^nbd/.test(name) && deviceState(Number(name.slice(3))).pid),
    [],
  );
  gateway.kill("SIGTERM");
  assert.is(await within(60_000, "the gateway", gateway.exit), 0, gateway.stderr);
  assertQuietKernel();
});

tests(
  "a configuration that is read-only: the device is, and cannot be made writable",
  async ({ sandbox }) => {
    const gateway = await startGateway(sandbox, onDevice(0, { "read-only": true }));
    const bytes = new Uint8Array(SIZE);
    const server = serveHere(gateway.url, bytes);
    await until("it is attached", () => gateway.stderr.includes("read-only, on /dev/nbd0"), 60_000);
    assert.ok(deviceState().isReadOnly);
    await sandbox.run("sh", ["-c", "blockdev --setrw /dev/nbd0; ! echo x > /dev/nbd0"]);
    assert.ok(bytes.every((byte) => byte === 0));
    server.end();
    await free();
    gateway.kill("SIGTERM");
    assert.is(await within(60_000, "the gateway", gateway.exit), 0, gateway.stderr);
  },
);

tests.run();
