/**
 * What has broken the programs around other implementations of NBD: web servers, sockets, descriptors. What broke the
 * protocol itself is in test/nbd/what-broke-others; replies that confused the kernel are there and in kernel/hostile.
 */
import { existsSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import * as assert from "uvu/assert";
import { hex } from "../bytes.ts";
import { needing, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { FLAGS, GO, request } from "../nbd/words.ts";
import { attached, attachedAt, pattern, startGateway, throughGateway } from "./link.ts";
import { serveListening } from "./listening.ts";
import { RawClient } from "./raw-client.ts";

const SIZE = 1 << 20;

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("what broke others");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(SIZE));
});
tests.after.each(({ sandbox }) => sandbox.end());

/** What a server answers to these words, until it hangs up. */
function answerTo(url: string, words: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const answer = new Promise<string>((resolve) => {
    let text = "";
    const socket = connect(Number(port), hostname, () => socket.write(words));
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      text += chunk;
      // A WebSocket stays open; its answer has no body.
      if (text.startsWith("HTTP/1.1 101") && text.includes("\r\n\r\n")) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
  return within(20_000, "an answer", answer);
}

const upgrade = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
].join("\r\n");

/** The session goes on: somebody can read. */
async function expectServed(sandbox: Sandbox, image: Buffer) {
  const client = await RawClient.open(attachedAt(sandbox).socket);
  client.read(1, 4096, 512);
  const { data } = await within(10_000, "a read", client.reply(512));
  assert.equal(data, image.subarray(4096, 4608));
  client.close();
}

tests(
  "bmcweb: a malformed URL is refused, whatever is asked for at it; the session goes on",
  async (context) => {
    const { sandbox, image } = context;
    const { gateway } = await throughGateway(sandbox, image);
    const url = gateway.stdout.trim();
    const { host } = new URL(url);
    const targets = [
      "//",
      "/%",
      "/%zz",
      "/%00",
      "/..",
      "/../../etc/passwd",
      "/%2e%2e/%2e%2e/etc/passwd",
      "http://[",
    ];
    for (const target of [
      ...targets,
      "http://[/x",
      "*",
      "//evil.example/",
      "/\\",
      "?",
      `/${"x".repeat(10_000)}`,
    ]) {
      for (const more of ["Connection: close", upgrade]) {
        const answer = await answerTo(url, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n\r\n`);
        const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
        // A path that comes down to / is the page.
        const isPage = more !== upgrade && status === 200;
        assert.ok(
          isPage || (status >= 400 && status < 500) || answer === "" || status === 101,
          `${target}: ${answer}`,
        );
        assert.not.match(answer, /root:/);
      }
    }
    await expectServed(sandbox, pattern(SIZE));
  },
);

tests(
  "bmcweb: the check of the page that a WebSocket comes from works in the program that is run",
  async (context) => {
    const { sandbox } = context;
    const gateway = await startGateway(sandbox);
    const url = gateway.stdout.trim();
    const { host } = new URL(url);
    for (const [origin, status] of [
      [`http://${host}`, "101 Switching Protocols"],
      ["https://evil.example", "403 Forbidden"],
      ["http://127.0.0.1:1", "403 Forbidden"],
      ["null", "403 Forbidden"],
    ] as const) {
      const words = `GET / HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${origin}\r\n${upgrade}\r\n\r\n`;
      const answer = await answerTo(url, words);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status}`), origin);
    }
  },
);

const flags = hex(FLAGS);
const go = hex(GO);
const read = hex(request(0, 1, 0, 512));

tests(
  "USBAnywhere: who gets the descriptor number of another gets nothing of what that one negotiated",
  async (context) => {
    const { sandbox, image } = context;
    const { socket } = await throughGateway(sandbox, image);
    for (let i = 0; i < 50; i++) {
      const first = await RawClient.open(socket);
      first.read(1, 0, 512);
      await within(10_000, "a read", first.reply(512));
      first.close();
      // It is let in with the number that has just become free, and goes on where the other has stopped.
      const second = new RawClient(socket);
      second.socket.write(read);
      const greeting = await within(10_000, "the greeting", second.take(18));
      assert.is(greeting.toString("latin1", 0, 16), "NBDMAGICIHAVEOPT");
      await within(10_000, "the end", second.end());
      const more = await second.take(1).then(
        () => "something",
        () => "nothing",
      );
      assert.is(more, "nothing");
    }
  },
);

/** Clients that never hang up: silent, in the handshake, in the middle of a request, and waiting for the next reply. */
async function stay(path: string): Promise<() => void> {
  const words = [[], [flags], [flags, go], [flags, go, read.subarray(0, 20)], [flags, go, read]];
  const sockets = await Promise.all(
    words.map(async (said) => {
      const socket = connect({ path, allowHalfOpen: true });
      socket.on("error", () => {});
      await new Promise((resolve) => socket.once("data", resolve));
      socket.write(Buffer.concat(said));
      return socket;
    }),
  );
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

async function expectEnd(server: Running, leave: () => void) {
  server.kill("SIGTERM");
  const status = await within(20_000, "the end", server.exit).finally(leave);
  assert.is(status, 0, server.stderr);
}

tests("CVE-2024-7409 (qemu): nbd-gateway ends, although clients hold their sockets open", async (context) => {
  const { sandbox, image } = context;
  const { gateway, socket } = await throughGateway(sandbox, image);
  const leave = await stay(socket);
  await expectEnd(gateway, leave);
  await until("the socket file is gone", () => !existsSync(socket));
});

needing(tests, ["nbdsh"])(
  "CVE-2024-7409 (qemu): nbd-serve on a socket ends, although clients hold theirs open",
  async ({ sandbox, image }) => {
    const server = await serveListening(sandbox, image);
    const leave = await stay(server.socket);
    await expectEnd(server, leave);
  },
);

tests("bmcweb: more than 512 KiB that are pending end no session", async ({ sandbox, image }) => {
  const { socket, gateway } = await throughGateway(sandbox, image);
  const client = await RawClient.open(socket);
  client.socket.pause();
  for (let i = 0; i < 64; i++) client.read(i, 0, SIZE);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await expectServed(sandbox, pattern(SIZE));
  client.socket.resume();
  for (let i = 0; i < 64; i++) {
    const { error } = await within(20_000, "a read", client.reply(SIZE));
    assert.is(error, 0);
  }
  client.close();
  assert.is(gateway.process.exitCode, null);
  await attached(gateway);
});

tests.run();
