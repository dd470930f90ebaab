import { existsSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import * as assert from "uvu/assert";
import { WebSocketServer } from "ws";
import { connectExport as connectFromPage } from "../../src/connect-export.ts";
import { memoryExport } from "../../src/export/memory.ts";
import { RefusedError } from "../../src/nbd/error.ts";
import { tooLongPath } from "../../src/node/config/address.ts";
import { connectExport } from "../../src/node/connect-export.ts";
import { listen } from "../../src/node/session/listen.ts";
import { serve } from "../../src/serve.ts";
import { webSocket } from "../../src/transport/websocket.ts";
import { failure, sequence } from "../bytes.ts";
import { needing, Sandbox, suite, until, within } from "../harness.ts";

const SIZE = 100_000;
const image = sequence(SIZE);

const tests = suite<{ sandbox: Sandbox }>("connectExport");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

/** Connects, reads the image or the beginning of it, and closes. */
async function expectImage(url: string, options?: Parameters<typeof connectExport>[1]) {
  const remote = await within(10_000, url, connectExport(url, options));
  assert.ok(remote.size >= SIZE);
  assert.equal(Buffer.from(await remote.read(0, SIZE)), Buffer.from(image));
  await remote.close();
  await within(5000, "the end of the link", remote.closed);
}

tests("our own listener, on a unix socket and on TCP, by its name and by none", async ({ sandbox }) => {
  const path = sandbox.path("a b.sock");
  const target = memoryExport(image);
  const listeners = [
    await listen(target, `unix:${path}`, { name: "the disk" }),
    await listen(target, "tcp:127.0.0.1:0", { name: "the disk" }),
  ];
  const { port } = listeners[1]!.address as { port: number };
  try {
    for (const name of ["", "the%20disk"]) {
      await expectImage(`nbd+unix:///${name}?socket=${encodeURIComponent(path)}`);
      await expectImage(`nbd://127.0.0.1:${port}/${name}`);
      await expectImage(`nbd://localhost:${port}/${name}`);
    }
    assert.instance(await failure(connectExport(`nbd://127.0.0.1:${port}/other`)), RefusedError);
  } finally {
    for (const listener of listeners) await listener.close();
  }
});

tests("IPv6", async () => {
  const listener = await listen(memoryExport(image), "tcp:[::1]:0");
  await expectImage(`nbd://[::1]:${(listener.address as { port: number }).port}`);
  await listener.close();
});

tests("a WebSocket, from Node and as a page does it", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (socket) => {
    serve(webSocket(socket), memoryExport(image), { name: "disk" }).catch(() => {});
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  await expectImage(url, { name: "disk" });
  assert.instance(await failure(connectExport(url, { name: "other" })), RefusedError);
  // Node 20 has no WebSocket of its own.
  const { WebSocket } = await import("ws");
  const own = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
  Object.defineProperty(globalThis, "WebSocket", { value: WebSocket, configurable: true });
  try {
    const remote = await connectFromPage(url);
    assert.is(remote.size, SIZE);
    await remote.close();
    const refused = await failure(connectFromPage("nbd://127.0.0.1/"));
    assert.match(refused.message, /^"nbd:\/\/127\.0\.0\.1\/": without Node, only ws:\/\/ and wss:\/\//);
  } finally {
    if (own) Object.defineProperty(globalThis, "WebSocket", own);
    else Reflect.deleteProperty(globalThis, "WebSocket");
    server.close();
  }
});

tests("no connection: the error has the address and Node's code", async ({ sandbox }) => {
  const missing = sandbox.path("missing.sock");
  const file = sandbox.path("file");
  writeFileSync(file, "");
  const long = `/tmp/${"x".repeat(150)}`;
  const listener = await listen(memoryExport(image), "tcp:127.0.0.1:0");
  const { port } = listener.address as { port: number };
  await listener.close();
  for (const [url, words, code] of [
    [`nbd+unix:///?socket=${missing}`, `unix:${missing}: there is no such socket`, "ENOENT"],
    [`nbd+unix:///?socket=${file}`, `unix:${file}: nothing listens there`, "ECONNREFUSED"],
    [`nbd+unix:///?socket=${long}`, `unix:${long}: ${tooLongPath(long)}`, "ENAMETOOLONG"],
    [`nbd://127.0.0.1:${port}`, `tcp:127.0.0.1:${port}: nothing listens there`, "ECONNREFUSED"],
  ] as const) {
    const error = (await failure(connectExport(url))) as NodeJS.ErrnoException;
    assert.is(error.message, `connecting to ${words}`);
    assert.is(error.code, code);
  }
});

tests("a signal gives it up, before, while it connects and in the handshake", async () => {
  const silent = await import("node:net").then(({ createServer }) => createServer().listen(0, "127.0.0.1"));
  await new Promise((resolve) => silent.once("listening", resolve));
  const url = `nbd://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  let open = 0;
  silent.on("connection", (socket) => {
    open++;
    socket.on("error", () => {}).once("close", () => open--);
    socket.resume();
  });
  const reason = new Error("not any more");
  assert.is(await failure(connectExport(url, { signal: AbortSignal.abort(reason) })), reason);
  for (const wait of [0, 50]) {
    const ending = new AbortController();
    const connecting = failure(connectExport(url, { signal: ending.signal }));
    await new Promise((resolve) => setTimeout(resolve, wait));
    ending.abort(reason);
    assert.is(await within(2000, "the end", connecting), reason);
  }
  await until("no connection is left", () => open === 0);
  silent.close();
});

/** Starts a server on a unix socket, and waits for that. */
async function startOn(socket: string, sandbox: Sandbox, command: string, args: readonly string[]) {
  const running = sandbox.start(command, args);
  await until(`${command} listens: ${running.stderr}`, () => existsSync(socket));
  return running;
}

needing(tests, ["nbdkit"])("nbdkit", async ({ sandbox }) => {
  const file = sandbox.path("disk.img");
  writeFileSync(file, image);
  const socket = sandbox.path("nbdkit.sock");
  await startOn(socket, sandbox, "nbdkit", ["-f", "-U", socket, "file", `dir=${sandbox.folder}`]);
  await expectImage(`nbd+unix:///disk.img?socket=${socket}`);
  assert.instance(await failure(connectExport(`nbd+unix:///none?socket=${socket}`)), RefusedError);
});

needing(tests, ["qemu-nbd"])("qemu-nbd", async ({ sandbox }) => {
  const file = sandbox.path("disk.img");
  writeFileSync(file, image);
  const socket = sandbox.path("qemu.sock");
  const args = ["-r", "-f", "raw", "-x", "a/../b c", "-k", socket, file];
  await startOn(socket, sandbox, "qemu-nbd", args);
  await expectImage(`nbd+unix:///a/../b%20c?socket=${socket}`);
});

tests.run();
