/** Runs in User-Mode Linux: see machine.ts. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { memoryExport } from "../../../src/export/memory.ts";
import { serve } from "../../../src/serve.ts";
import { webSocket } from "../../../src/transport/websocket.ts";
import { Sandbox, suite, until, within } from "../../harness.ts";
import { attached, connectWires, pattern, startGateway, startProxy, startServer } from "../link.ts";
import { assertQuietKernel, deviceState, free, onDevice, queueSettings } from "./guest.ts";

const CYCLES = 50;
/** Milliseconds for each: of a configuration the log has a line a second in the long run, and a session has two. */
const PACE = 2000;
const SIZE = 1 << 20;
const CONTENT = pattern(SIZE);
/** The first cycles load what is loaded once. */
const WARM = 10;

const tests = suite<{ sandbox: Sandbox; image: string }>("attaching again and again");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, CONTENT);
});
tests.after.each(({ sandbox }) => sandbox.end());

/** What a process holds: its descriptors by kind, its threads, and its memory in KiB. */
function held(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: field("Threads"),
    memory: field("VmRSS"),
  };
}

/** Serves from within this process, since a program takes seconds to start here. */
function serveHere(url: string) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  const end = new AbortController();
  const target = memoryExport(CONTENT, { readOnly: true });
  const ended = serve(webSocket(socket), target, { name: "disk.img", signal: end.signal }).catch(() => {});
  return { ended, end: () => end.abort(), vanish: () => socket.terminate() };
}

tests(
  `${CYCLES} sessions of one gateway leave nothing in it, and nothing on the machine`,
  async ({ sandbox }) => {
    const queue = queueSettings();
    const sockets = () => readFileSync("/proc/net/unix", "utf8").split("\n").length;
    const gateway = await startGateway(sandbox, onDevice());
    let before = held(gateway.pid);
    let socketsBefore = 0;
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      if (cycle === WARM) {
        before = held(gateway.pid);
        socketsBefore = sockets();
      }
      const next = performance.now() + PACE;
      const server = serveHere(gateway.url);
      await until("it is attached", () => gateway.stderr.split(" on /dev/nbd0").length === cycle + 2, 60_000);
      assert.is(deviceState().size, SIZE);
      assert.ok((await readFile("/dev/nbd0")).equals(CONTENT));
      if (cycle % 2 === 0) server.end();
      else server.vanish();
      await until("it has ended", () => gateway.stderr.split("local: ended").length === cycle + 2, 60_000);
      await server.ended;
      await free();
      await new Promise((resolve) => setTimeout(resolve, next - performance.now()));
    }
    const after = held(gateway.pid);
    assert.is(after.descriptors, before.descriptors, "descriptors");
    assert.ok(after.threads <= before.threads, `threads: ${before.threads}, then ${after.threads}`);
    // Half of the megabyte that is read in each session would be more.
    assert.ok(after.memory < before.memory + 20_000, `KiB: ${before.memory}, then ${after.memory}`);
    assert.ok(sockets() <= socketsBefore, "unix sockets of the machine");
    assert.equal(queueSettings(), queue);
    gateway.kill();
    assert.is(await within(10_000, "the end of the gateway", gateway.exit), 0);
    assertQuietKernel();
  },
);

tests("sessions of their own processes leave nothing on the machine", async ({ sandbox, image }) => {
  const processes = () =>
    readdirSync("/proc").filter((name) => /^\d+$/.test(name) && !isKernelThread(name)).length;
  const before = processes();
  for (let cycle = 0; cycle < 5; cycle++) {
    const server = await startServer(sandbox, [image]);
    const proxy = startProxy(sandbox, onDevice());
    connectWires(proxy, server);
    await attached(proxy);
    proxy.kill("SIGTERM");
    assert.is(await within(20_000, "its end", proxy.exit), 0, proxy.stderr);
    await server.exit;
  }
  await free();
  assert.is(processes(), before);
  assert.equal(readdirSync(sandbox.folder).sort(), ["config.json", "disk.img"]);
});

const isKernelThread = (pid: string) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8") === "";
  } catch {
    return true;
  }
};

tests.run();
