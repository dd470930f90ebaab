import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import * as assert from "uvu/assert";
import { WebSocketServer } from "ws";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { join } from "../../src/streams/join.ts";
import { needing, program, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { startWebsocketd } from "../websocketd.ts";
import { attached, connectWires, pattern, startGateway, startProxy, throughGateway, wireOf } from "./link.ts";
import { RawClient } from "./raw-client.ts";

/** Milliseconds in which everything has to be over. */
const SOON = 2000;

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("the end of a session");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(1 << 20));
});
tests.after.each(({ sandbox }) => sandbox.end());

/** nbd-serve on the wire of nbd-proxy, and the export attached. */
async function throughProxy({ sandbox, image }: Context, keys = {}) {
  const proxy = startProxy(sandbox, keys);
  const server = sandbox.start(program("nbd-serve"), [image, "-"], { wire: true });
  connectWires(proxy, server);
  await attached(proxy);
  return { proxy, server };
}

/** nbd-proxy with an export of the test's own at the other end, whose reads wait until `answer()`. */
async function hesitantRemote({ sandbox }: Context, keys = {}, { readOnly = false } = {}) {
  const proxy = startProxy(sandbox, keys);
  const bytes = pattern(1 << 20);
  const waiting: (() => void)[] = [];
  const wire = wireOf(proxy);
  const target = {
    ...memoryExport(bytes, { readOnly }),
    async read(offset: number, length: number) {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return bytes.slice(offset, offset + length);
    },
    ...(!readOnly && { flush: () => new Promise<void>((resolve) => waiting.push(resolve)) }),
  };
  const served = join(wire, nbdServer(target));
  served.catch(() => {});
  await attached(proxy);
  return {
    proxy,
    waiting,
    answer: () => waiting.splice(0).forEach((resolve) => void resolve()),
    vanish: () => {
      proxy.process.stdin!.destroy();
      proxy.process.stdout!.destroy();
    },
  };
}

/** What a program has said, without the line that says where the export is. */
function complaints({ stderr }: Running): string[] {
  return stderr
    .split("\n")
    .filter((line) => line !== "" && !/ bytes, .*, on unix:|: its disk will be at |: --no-auth: /.test(line));
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  tests(`${signal} to nbd-proxy`, async (context) => {
    const { proxy, server } = await throughProxy(context);
    const client = await RawClient.open(proxy.socket);
    proxy.kill(signal);
    assert.is(await within(SOON, "nbd-proxy", proxy.exit), 0);
    assert.is(await within(SOON, "nbd-serve", server.exit), 0);
    await within(SOON, "the local client", client.end());
    assert.not.ok(existsSync(proxy.socket), "no socket file is left");
    assert.equal(complaints(proxy), []);
  });

  tests(`${signal} to nbd-proxy with requests that the remote does not answer`, async (context) => {
    const { proxy, waiting } = await hesitantRemote(context);
    const client = await RawClient.open(proxy.socket);
    client.read(1, 0, 4096);
    await until("the read has arrived", () => waiting.length > 0);
    proxy.kill(signal);
    assert.is(await within(SOON, "nbd-proxy", proxy.exit), 1);
    await within(SOON, "the local client", client.end());
    assert.not.ok(existsSync(proxy.socket));
    assert.equal(complaints(proxy), ["nbd-proxy: the server did not confirm a FLUSH for 1 s"]);
  });

  tests(`${signal} to nbd-proxy with reads that a read-only remote does not answer`, async (context) => {
    const { proxy, waiting } = await hesitantRemote(context, {}, { readOnly: true });
    const client = await RawClient.open(proxy.socket);
    client.read(1, 0, 4096);
    await until("the read has arrived", () => waiting.length > 0);
    proxy.kill(signal);
    assert.is(await within(SOON, "nbd-proxy", proxy.exit), 0);
    await within(SOON, "the local client", client.end());
    assert.not.ok(existsSync(proxy.socket));
    assert.equal(complaints(proxy), []);
  });

  tests(`${signal} to nbd-proxy in the middle of the handshake`, async ({ sandbox }) => {
    const proxy = startProxy(sandbox);
    proxy.process.stdin!.write("NBDMAGICIHAVEOPT\x00\x03");
    await within(10_000, "the first option", once(proxy.process.stdout!, "data"));
    proxy.kill(signal);
    assert.is(await within(SOON, "nbd-proxy", proxy.exit), 0);
    assert.not.ok(existsSync(proxy.socket));
    assert.is(proxy.stderr, "");
  });

  tests(`${signal} to nbd-gateway`, async ({ sandbox, image }) => {
    const { gateway, server, socket } = await throughGateway(sandbox, image);
    const client = await RawClient.open(socket);
    gateway.kill(signal);
    assert.is(await within(SOON, "nbd-gateway", gateway.exit), 0);
    assert.is(await within(SOON, "nbd-serve", server.exit), 0);
    await within(SOON, "the local client", client.end());
    assert.not.ok(existsSync(socket));
    assert.match(complaints(gateway).join("\n"), /^nbd-gateway: local: ended after \d+ s, [^\n]*$/);
  });

  tests(`${signal} to nbd-gateway with requests that the remote does not answer`, async (context) => {
    const { gateway, server, socket } = await throughGateway(context.sandbox, context.image, {
      writable: true,
    });
    const client = await RawClient.open(socket);
    server.kill("SIGSTOP");
    client.read(1, 0, 4096);
    gateway.kill(signal);
    assert.is(await within(SOON, "nbd-gateway", gateway.exit), 0);
    await within(SOON, "the local client", client.end());
    assert.not.ok(existsSync(socket));
    const [fault, summary, ...others] = complaints(gateway);
    assert.is(fault, "nbd-gateway: local: the server did not confirm a FLUSH for 1 s");
    assert.match(summary!, /^nbd-gateway: local: ended after /);
    assert.equal(others, []);
  });

  tests(`${signal} to nbd-serve: the gateway goes on and takes the next`, async ({ sandbox, image }) => {
    const { gateway, server, socket } = await throughGateway(sandbox, image);
    const client = await RawClient.open(socket);
    server.kill(signal);
    assert.is(await within(SOON, "nbd-serve", server.exit), 0);
    await within(SOON, "the local client", client.end());
    await until(
      "the gateway says so",
      () => gateway.stderr.includes("nbd-gateway: local: ended after"),
      SOON,
    );
    assert.not.ok(existsSync(socket));

    const url = gateway.stdout.trim().replace(/^http/, "ws");
    sandbox.start(program("nbd-serve"), [image, url]);
    await until("the next is attached", () => existsSync(socket));
  });
}

tests("a signal before anybody came", async ({ sandbox }) => {
  const gateway = await startGateway(sandbox);
  gateway.kill();
  assert.is(await within(SOON, "nbd-gateway", gateway.exit), 0);
  assert.equal(complaints(gateway), []);
});

tests("a WebSocket whose other side was killed while idle", async ({ sandbox, image }) => {
  const { gateway, server, socket } = await throughGateway(sandbox, image, { keys: { resume: 0 } });
  const client = await RawClient.open(socket);
  server.kill("SIGKILL");
  await within(SOON, "the local client", client.end());
  await until("the socket is gone", () => !existsSync(socket), SOON);
  await until("the gateway says so", () => gateway.stderr.includes("nbd-gateway: local: ended after"), SOON);
});

tests("a remote that vanishes while idle", async (context) => {
  const { proxy, vanish } = await hesitantRemote(context);
  const client = await RawClient.open(proxy.socket);
  vanish();
  assert.is(await within(SOON, "nbd-proxy", proxy.exit), 0);
  await within(SOON, "the local client", client.end());
  assert.not.ok(existsSync(proxy.socket));
  assert.equal(complaints(proxy), []);
});

tests("a remote that vanishes under I/O", async (context) => {
  const { proxy, waiting, vanish } = await hesitantRemote(context);
  const clients = [await RawClient.open(proxy.socket), await RawClient.open(proxy.socket)];
  for (const [i, client] of clients.entries()) client.read(i, i << 19, 4096);
  await until("the reads have arrived", () => waiting.length >= 2);
  vanish();
  assert.is(await within(SOON, "nbd-proxy", proxy.exit), 1);
  for (const client of clients) {
    const reply = await within(
      SOON,
      "the local client",
      client.reply(4096).catch(() => "closed"),
    );
    assert.ok(
      reply === "closed" || (typeof reply === "object" && reply.error === 5),
      "EIO, or a closed connection",
    );
    await within(SOON, "the local client", client.end());
  }
  assert.not.ok(existsSync(proxy.socket));
  const [complaint, ...others] = complaints(proxy);
  // What was read ahead is among them; if that was still in a pipe, the connection was not ended but reset.
  const ended =
    /^nbd-proxy: (the server ended the connection with \d+ requests unanswered|the other side has closed the connection)$/;
  assert.match(complaint!, ended);
  assert.equal(others, []);
});

tests("a gateway that vanishes: nbd-serve ends, where it is not to try again", async ({ sandbox, image }) => {
  const { gateway, server, socket } = await throughGateway(sandbox, image, { retry: 0 });
  const client = await RawClient.open(socket);
  client.read(1, 0, 512);
  await within(SOON, "the reply", client.reply(512));
  gateway.kill("SIGKILL");
  assert.is(await within(SOON, "nbd-serve", server.exit), 0);
});

tests("a gateway that vanishes before anything was read: nbd-serve says so", async ({ sandbox, image }) => {
  const { gateway, server } = await throughGateway(sandbox, image, { keys: { resume: 0 } });
  gateway.kill("SIGKILL");
  assert.is(await within(SOON, "nbd-serve", server.exit), 1);
  const [, complaint] = server.stderr.split("\n");
  assert.is(
    complaint,
    `nbd-serve: ${gateway.stdout.trim().replace("http", "ws")}: the other side left without reading; its log says why`,
  );
});

for (const [user, url] of [
  ["a user and a password", (port: number) => `ws://user:secret@127.0.0.1:${port}/`],
  ["a token", (port: number) => `ws://127.0.0.1:${port}/?token=secret`],
  ["a port that is none", () => "ws://user:secret@127.0.0.1:99999/"],
  ["a scheme that is none of ours", () => "http://user:secret@127.0.0.1/"],
] as const) {
  tests(
    `nbd-serve with ${user} in its URL shows none, in a line or as an argument`,
    async ({ sandbox, image }) => {
      const relay = await deafRelay();
      const server = sandbox.start(program("nbd-serve"), [
        ...["--retry", "0", image],
        url(Number(new URL(relay.url).port)),
      ]);
      if (!/none/.test(user)) {
        await until("it serves", () => server.stderr.includes("serving"));
        const shown = readFileSync(`/proc/${server.pid}/cmdline`, "utf8");
        assert.not.match(shown, /secret/);
        relay.cut();
      }
      assert.is(await within(SOON * 2, "nbd-serve", server.exit), 1);
      assert.not.match(server.stderr, /secret/);
      assert.match(server.stderr, /127\.0\.0\.1/);
      relay.end();
    },
  );
}

/** What a client says that asks for the default export, then for so many reads of 256 KiB. */
function asking(reads: number): Buffer {
  const hello = Buffer.from("0000000349484156454f50540000000100000000", "hex");
  const requests = Array.from({ length: reads }, (_, cookie) => {
    const request = Buffer.alloc(28);
    request.writeUInt32BE(0x25609513);
    request.writeBigUInt64BE(BigInt(cookie), 8);
    request.writeUInt32BE(1 << 18, 24);
    return request;
  });
  return Buffer.concat([hello, ...requests]);
}

/** A relay whose other side asks for far more than a connection holds, and reads none of it. */
async function deafRelay() {
  const relay = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(relay, "listening");
  relay.on("connection", (socket) => {
    socket.pause();
    socket.send(asking(200));
  });
  const { port } = relay.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}/`,
    cut: () => relay.clients.forEach((client) => void client.terminate()),
    end: () => relay.close(),
  };
}

/** Waits until nbd-serve serves, and reads nothing more. */
async function stalled(server: Running) {
  await until("it serves", () => server.stderr.includes("serving"));
  await new Promise((resolve) => setTimeout(resolve, 300));
}

for (const signal of ["SIGTERM", "SIGHUP"] as const) {
  tests(`${signal} to nbd-serve whose relay never answers the upgrade`, async ({ sandbox, image }) => {
    const relay = createServer(() => {}).listen(0, "127.0.0.1");
    await once(relay, "listening");
    const server = sandbox.start(program("nbd-serve"), [
      image,
      `ws://127.0.0.1:${(relay.address() as AddressInfo).port}/`,
    ]);
    await within(10_000, "the connection", once(relay, "connection"));
    server.kill(signal);
    assert.is(await within(SOON, "nbd-serve", server.exit), 0);
    assert.is(server.stderr, "");
    relay.close();
  });
}

tests("SIGTERM to nbd-serve whose relay has stopped reading", async ({ sandbox, image }) => {
  const relay = await deafRelay();
  const server = sandbox.start(program("nbd-serve"), [image, relay.url]);
  await stalled(server);
  server.kill();
  assert.is(await within(SOON, "nbd-serve", server.exit), 0);
  relay.cut();
  relay.end();
});

tests("SIGTERM to nbd-serve on a pipe that nobody reads", async ({ sandbox, image }) => {
  const server = sandbox.start(program("nbd-serve"), [image, "-"], { wire: true });
  server.process.stdin!.write(asking(200));
  await stalled(server);
  server.kill();
  assert.equal(await within(SOON, "nbd-serve", once(server.process, "exit")), [0, null]);
});

tests("nbd-serve whose link is cut under I/O says so", async ({ sandbox, image }) => {
  const relay = await deafRelay();
  const server = sandbox.start(program("nbd-serve"), ["--retry", "0", image, relay.url]);
  await stalled(server);
  relay.cut();
  assert.is(await within(SOON, "nbd-serve", server.exit), 1);
  assert.equal(server.stderr.split("\n").slice(1), [
    `nbd-serve: ${relay.url}: the connection was lost before everything was sent`,
    "",
  ]);
  relay.end();
});

tests("nbd-serve on a pipe whose reader goes away says so", async ({ sandbox, image }) => {
  const server = sandbox.start(program("nbd-serve"), [image, "-"], { wire: true });
  server.process.stdin!.write(asking(200));
  await stalled(server);
  server.process.stdout!.destroy();
  assert.is(await within(SOON, "nbd-serve", server.exit), 1);
  assert.is(server.stderr.split("\n")[1], "nbd-serve: the other side has closed the connection");
});

tests("a remote that stops answering", async (context) => {
  const { proxy, waiting } = await hesitantRemote(context, { timeout: 1 });
  const client = await RawClient.open(proxy.socket);
  client.read(7, 8192, 4096);
  await until("the read has arrived", () => waiting.length > 0);
  assert.equal(await within(1000 + SOON, "the error", client.reply(4096)), {
    cookie: 7,
    error: 5,
    data: Buffer.alloc(0),
  });
  assert.is(await within(SOON, "nbd-proxy", proxy.exit), 1);
  assert.not.ok(existsSync(proxy.socket));
  assert.equal(complaints(proxy), ["nbd-proxy: the server did not answer a READ at 8192 for 1 s"]);
});

tests("a remote that does not answer the handshake", async ({ sandbox }) => {
  const proxy = startProxy(sandbox, { timeout: 1 });
  assert.is(await within(1000 + SOON, "nbd-proxy", proxy.exit), 1);
  assert.is(proxy.stderr, "nbd-proxy: the server did not answer for 1 s\n");
});

tests("timeout 0: a request may take as long as it takes", async (context) => {
  const { proxy, waiting, answer } = await hesitantRemote(context, { timeout: 0 });
  const client = await RawClient.open(proxy.socket);
  client.read(7, 8192, 4096);
  await until("the read has arrived", () => waiting.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.is(proxy.process.exitCode, null);
  answer();
  const { error, data } = await within(SOON, "the answer", client.reply(4096));
  assert.is(error, 0);
  assert.equal(data, pattern(1 << 20).subarray(8192, 8192 + 4096));
});

tests("a local client that vanishes in mid-read disturbs no other", async (context) => {
  const { proxy, waiting, answer } = await hesitantRemote(context, { "window-kb": 4096 });
  const [leaves, stays] = [await RawClient.open(proxy.socket), await RawClient.open(proxy.socket)];
  for (let i = 0; i < 16; i++) leaves.read(i, i << 16, 1 << 16);
  stays.read(1, 512, 512);
  await until("the reads have arrived", () => waiting.length >= 16);
  leaves.close();
  answer();
  // It was asked for once, for both of them.
  assert.equal((await within(SOON, "the other client", stays.reply(512))).data, pattern(1024).subarray(512));
  stays.read(2, 0, 512);
  assert.equal((await within(SOON, "the other client", stays.reply(512))).data, pattern(512));
  assert.is(proxy.process.exitCode, null);
});

needing(tests, ["websocketd"])(
  "nbd-serve whose other side ends before it asked for anything fails, with one line",
  async ({ sandbox, image }) => {
    const relay = await startWebsocketd(sandbox, ["true"]);
    const origin = new URL(relay.page).origin;
    const server = sandbox.start(program("nbd-serve"), ["--origin", origin, image, relay.endpoint]);
    assert.is(await within(SOON * 2, "nbd-serve", server.exit), 1);
    assert.is(
      server.stderr,
      `nbd-serve: ${relay.endpoint}: the other side left without reading; its log says why\n`,
    );
  },
);

tests("a remote that refuses, speaks another protocol, or has nothing", async ({ sandbox }) => {
  const empty = startProxy(sandbox);
  join(wireOf(empty), nbdServer(memoryExport(new Uint8Array(0)))).catch(() => {});
  assert.is(await within(SOON * 2, "nbd-proxy", empty.exit), 1);
  assert.is(empty.stderr, "nbd-proxy: the export is empty, 0 bytes\n");

  const other = startProxy(sandbox);
  other.process.stdin!.write("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
  assert.is(await within(SOON * 2, "nbd-proxy", other.exit), 1);
  assert.match(
    other.stderr,
    /^nbd-proxy: a greeting began with 0x485454502f312e31 where .*0x4e42444d41474943 was expected\n$/,
  );

  const silent = startProxy(sandbox);
  silent.process.stdin!.end();
  assert.is(await within(SOON * 2, "nbd-proxy", silent.exit), 1);
  assert.is(silent.stderr, "nbd-proxy: the connection ended before the greeting of an NBD server came\n");
});

tests.run();
