/**
 * Many peers that mean no good, at programs that run as they do for users: the memory stays bounded, others are served
 * meanwhile, and nothing is left of them.
 */
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { SILENT } from "../../src/transport/close-codes.ts";
import { memory } from "../bench/path.ts";
import { hex } from "../bytes.ts";
import { needing, type Running, Sandbox, suite, until, within } from "../harness.ts";
import * as words from "../nbd/words.ts";
import { type Entry, pattern, sha256, startGateway, throughGateway } from "./link.ts";

const MIB = 1 << 20;
const SIZE = 16 * MIB;
const CONNECTIONS = 1000;

/**
 * What a process may take while 1,000 clients hold what they can: what it takes by itself (60 MiB); 64 MiB of payload for
 * all, as much in reserve; and for each client 256 KiB of payload and as much of requests that are not dealt with yet.
 */
const BOUND = 60 + 2 * 64 + (CONNECTIONS * 2) / 4;

interface Context {
  sandbox: Sandbox;
  image: string;
  sockets: Set<Socket>;
}

const tests = suite<Context>("hostile peers");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  context.sockets = new Set();
  writeFileSync(context.image, pattern(SIZE));
});
tests.after.each(async ({ sandbox, sockets }) => {
  for (const socket of sockets) socket.destroy();
  await sandbox.end();
});

const flags = hex(words.FLAGS);
/** Asks for the default export. */
const choice = hex(words.option("00000001"));

/** A request of the transmission phase. */
function request(type: number, cookie: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(0x25609513, 0);
  bytes.writeUInt16BE(type, 6);
  bytes.writeUInt32BE(cookie, 12);
  bytes.writeUInt32BE(offset, 20);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}

/** So many READs, as one piece. */
const reads = (count: number, length: number) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => request(0, i, 0, length)));

/** A connection that takes nothing in unless it is told to. */
async function open(context: Context, address: NetConnectOpts): Promise<Socket> {
  let socket!: Socket;
  const attempt = () => {
    socket = connect(address);
    socket.pause();
    return new Promise<boolean>((resolve) => {
      socket.on("connect", () => resolve(true));
      socket.on("error", () => resolve(false));
    });
  };
  // A unix socket whose queue is full says so at once.
  await until("a connection", attempt, 60_000);
  context.sockets.add(socket);
  socket.once("close", () => context.sockets.delete(socket));
  return socket;
}

async function openMany(context: Context, count: number, address: NetConnectOpts): Promise<Socket[]> {
  const sockets: Socket[] = [];
  // Not all at once: a listener's queue has an end, and a full one is no matter of ours.
  while (sockets.length < count) {
    const some = Math.min(50, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: some }, () => open(context, address)))));
  }
  return sockets;
}

/** Says the same on each connection, a byte at a time, over and over, until it is told to stop. */
function trickle(sockets: readonly Socket[], bytes: Buffer): () => void {
  let at = 0;
  const timer = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write(bytes.subarray(at, at + 1));
    at = Math.min(at + 1, bytes.length - 1);
  }, 200);
  return () => clearInterval(timer);
}

const descriptors = ({ pid }: Running) => readdirSync(`/proc/${pid}/fd`).length;

/** The most memory that a process takes while something runs, in MiB. */
async function peak<T>({ pid }: Running, during: Promise<T>): Promise<number> {
  let most = 0;
  const look = () => {
    most = Math.max(most, memory(pid, "VmRSS"));
  };
  const timer = setInterval(look, 50);
  try {
    await during;
  } finally {
    clearInterval(timer);
  }
  look();
  return most;
}

/** nbdcopy reads the whole image, and it is the image. */
async function expectCopied(sandbox: Sandbox, uri: string, image: string) {
  const copy = sandbox.path("copy.img");
  await within(120_000, "nbdcopy", sandbox.run("nbdcopy", [uri, copy]));
  assert.is(await sha256(copy), await sha256(image));
}

/** Where local clients connect to, from the address in the log. */
function addressOf(where: string): { address: NetConnectOpts; uri: string } {
  if (where.startsWith("unix:")) {
    const path = where.slice("unix:".length);
    return { address: { path }, uri: `nbd+unix:///?socket=${path}` };
  }
  const [, host, port] = /^tcp:(.*):(\d+)$/.exec(where)!;
  return { address: { host: host!, port: Number(port) }, uri: `nbd://${host}:${port}` };
}

for (const [kind, keys] of [
  ["a unix socket", {}],
  ["TCP", { listen: "tcp:127.0.0.1:0" }],
] as [string, Entry][]) {
  needing(tests, ["nbdcopy"])(
    `1,000 clients on ${kind}, silent, slow, or asking and not reading: others go on, memory is bounded, all is released`,
    async (context) => {
      const { sandbox, image } = context;
      const lenient = { ...keys, "max-clients": CONNECTIONS + 16 };
      const { gateway, where } = await throughGateway(sandbox, image, { keys: lenient });
      const { address, uri } = addressOf(where);
      await expectCopied(sandbox, uri, image);
      const before = descriptors(gateway);

      const hostile = await openMany(context, CONNECTIONS, address);
      // The first 300 stay silent.
      const [slow, greedy] = [hostile.slice(300, 600), hostile.slice(600)];
      await until("all are let in", () => descriptors(gateway) >= before + CONNECTIONS, 60_000);
      const stop = trickle(slow, Buffer.concat([flags, choice, reads(100, 4096)]));
      // 2.5 MiB a request is more than each is assured.
      const length = [4096, 256 << 10, 2560 << 10];
      for (const [i, socket] of greedy.entries()) {
        socket.write(Buffer.concat([flags, choice, reads(1000, length[i % length.length]!)]));
      }
      const most = await peak(
        gateway,
        (async () => {
          for (let i = 0; i < 2; i++) await expectCopied(sandbox, uri, image);
        })(),
      );
      stop();
      assert.ok(most < BOUND, `it took ${most} MiB`);
      for (const socket of hostile) socket.destroy();
      await until("all is released", () => descriptors(gateway) <= before, 60_000);
      await expectCopied(sandbox, uri, image);
    },
  );
}

needing(tests, ["nbdcopy"])(
  "10,000 requests without reading a reply, and a WRITE that does not end: memory is bounded",
  async (context) => {
    const { sandbox, image } = context;
    const { gateway, where } = await throughGateway(sandbox, image, { writable: true });
    const { address, uri } = addressOf(where);
    await expectCopied(sandbox, uri, image);
    const before = descriptors(gateway);
    const hostile = await openMany(context, 20, address);
    for (const [i, socket] of hostile.entries()) {
      socket.write(Buffer.concat([flags, choice]));
      if (i % 2 === 0) socket.write(reads(10_000, MIB));
      else socket.write(Buffer.concat([request(1, 1, 0, 32 * MIB), Buffer.alloc(MIB)]));
    }
    const most = await peak(gateway, expectCopied(sandbox, uri, image));
    assert.ok(most < 60 + 2 * 64 + 100, `it took ${most} MiB`);
    for (const socket of hostile) socket.destroy();
    await until("all is released", () => descriptors(gateway) <= before, 60_000);
  },
);

needing(tests, ["nbdcopy"])(
  "550 connections to the gateway, silent, slow, or WebSockets in each other's way: the session goes on",
  async (context) => {
    const { sandbox, image } = context;
    const { gateway, where } = await throughGateway(sandbox, image);
    const url = new URL(gateway.stdout.trim());
    const { uri } = addressOf(where);
    await expectCopied(sandbox, uri, image);
    const before = descriptors(gateway);

    const address = { host: url.hostname, port: Number(url.port) };
    // With the WebSockets, 50 at a time, they stay below the most that there may be at once.
    const hostile = await openMany(context, 150, address);
    const [slow, halfway] = [hostile.slice(50, 100), hostile.slice(100)];
    await until("all are let in", () => descriptors(gateway) >= before + 150, 60_000);
    const stop = trickle(slow, Buffer.from(`GET / HTTP/1.1\r\nHost: ${url.host}\r\nX: ${"x".repeat(1000)}`));
    for (const socket of halfway) socket.write(`GET / HTTP/1.1\r\nHost: ${url.host}\r\n`);
    const sockets: WebSocket[] = [];
    const reasons = new Map<string, number>();
    while (sockets.length < 400) {
      const some = Array.from({ length: 50 }, async (_, i) => {
        const socket = new WebSocket(`ws://${url.host}/${i % 2 === 0 ? "local" : "unknown"}`);
        socket.on("error", () => {});
        sockets.push(socket);
        const [, reason] = (await once(socket, "close")) as [number, Buffer];
        const words = String(reason).replace(/:.*/, "");
        reasons.set(words, (reasons.get(words) ?? 0) + 1);
      });
      await within(60_000, "the WebSockets' end", Promise.all(some));
    }
    const most = await peak(gateway, expectCopied(sandbox, uri, image));
    assert.ok(most < BOUND, `it took ${most} MiB`);
    // Each might have been a new link of the session, and had the time to show that.
    assert.is(reasons.get("the server did not answer for 5 s"), 200);
    // Who has not said what it wants after 10 s is hung up on by the gateway itself.
    await until(
      "the gateway has hung up on them",
      () => hostile.every((socket) => socket.destroyed || drained(socket)),
      60_000,
    );
    stop();
    await until("all is released", () => descriptors(gateway) <= before, 60_000);
    await expectCopied(sandbox, uri, image);
  },
);

/** Looks whether the other side has hung up, which a paused socket does not see. */
function drained(socket: Socket): boolean {
  socket.resume();
  return socket.destroyed || socket.readableEnded;
}

/** A WebSocket that speaks NBD as far as the test lets it. */
async function remote(url: string): Promise<{ socket: WebSocket; closed: Promise<[number, string]> }> {
  const socket = new WebSocket(url);
  socket.on("error", () => {});
  const closed = once(socket, "close").then(([code, reason]) => [code, String(reason)] as [number, string]);
  await within(10_000, "the WebSocket", once(socket, "open"));
  return { socket, closed };
}

const greeting = hex(words.greeting("0000"));
/** The export of a first-generation server: 1 MiB, read-only, and 124 zeroes. */
const offer = Buffer.concat([Buffer.from("0000000000100000" + "0003", "hex"), Buffer.alloc(124)]);

for (const [what, spoken] of [
  ["says nothing", Buffer.alloc(0)],
  ["says its greeting a byte at a time", greeting],
  ["stops after its greeting", greeting],
] as const) {
  tests(`a remote that ${what}: its configuration is free again after the timeout`, async ({ sandbox }) => {
    const gateway = await startGateway(sandbox, { timeout: 2 });
    const { socket, closed } = await remote(gateway.url);
    const timer = what.includes("byte") ? trickleTo(socket, spoken) : undefined;
    if (!timer) socket.send(spoken);
    const [code, reason] = await within(20_000, "the end", closed);
    clearInterval(timer);
    assert.is(code, SILENT);
    assert.is(reason, "the server did not answer for 2 s");
    const next = await remote(gateway.url);
    next.socket.send(Buffer.concat([greeting, offer]));
    await until("the next one is served", () => / bytes, read-only, on /.test(gateway.stderr));
    next.socket.terminate();
  });
}

function trickleTo(socket: WebSocket, bytes: Uint8Array) {
  let at = 0;
  return setInterval(() => {
    if (at < bytes.length && socket.readyState === WebSocket.OPEN) socket.send(bytes.subarray(at, ++at));
  }, 500);
}

tests("a remote that answers a READ a byte at a time, for ever: EIO after the timeout", async (context) => {
  const { sandbox } = context;
  const gateway = await startGateway(sandbox, { timeout: 2 });
  const { socket, closed } = await remote(gateway.url);
  socket.send(Buffer.concat([greeting, offer]));
  await until("it is offered", () => / bytes, read-only, on /.test(gateway.stderr));
  const client = await open(context, { path: sandbox.path("nbd.sock") });
  client.resume();
  let heard = Buffer.alloc(0);
  client.on("data", (chunk) => {
    heard = Buffer.concat([heard, chunk]);
  });
  client.write(Buffer.concat([flags, choice, request(0, 7, 0, 4096)]));
  const timer = trickleTo(socket, Buffer.from(`67446698${"00".repeat(100)}`, "hex"));
  const [, reason] = await within(20_000, "the end", closed);
  clearInterval(timer);
  assert.is(reason, "the server did not answer a READ at 0 for 2 s");
  await until("the client's end", () => client.destroyed);
  assert.is(heard.subarray(-16).toString("hex"), "67446698" + "00000005" + "0000000000000007");
});

tests.run();
