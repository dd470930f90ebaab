/** Runs in User-Mode Linux: see machine.ts. */
import { mkdirSync, readFileSync } from "node:fs";
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
