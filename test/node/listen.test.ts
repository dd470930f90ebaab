import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { formatAddress, MAX_SOCKET_PATH } from "../../src/node/config/address.ts";
import { type Listener, type ListenOptions, listen } from "../../src/node/session/listen.ts";
import { ByteBudget } from "../../src/streams/budget.ts";
import { needing, Sandbox, suite, until, within } from "../harness.ts";
import { pattern, sha256 } from "../system/link.ts";
import { RawClient } from "../system/raw-client.ts";

const MIB = 1 << 20;

interface Context {
  sandbox: Sandbox;
  path: string;
  image: Buffer;
  /** Listens on `path`, until the end of the test. */
  offer(options?: ListenOptions): Promise<Listener>;
}

const tests = suite<Context>("listen");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.path = context.sandbox.path("nbd.sock");
  context.image = pattern(2 * MIB);
  context.offer = async (options) => {
    const listener = await listen(
      memoryExport(context.image, { readOnly: true }),
      { path: context.path },
      options,
    );
    listeners.push(listener);
    return listener;
  };
});
const listeners: Listener[] = [];
tests.after.each(async ({ sandbox }) => {
  for (const listener of listeners.splice(0)) await listener.close();
  await sandbox.end();
});

/** Reads what a client that works as it should would read. */
async function expectServed(path: string, image: Buffer) {
  const client = await RawClient.open(path);
  assert.is(client.size, image.length);
  client.read(1, 4096, 8192);
  assert.equal((await within(5000, "a read", client.reply(8192))).data, image.subarray(4096, 4096 + 8192));
  client.close();
}

tests("any number of clients at once", async ({ offer, path, image }) => {
  const warnings: string[] = [];
  const note = (warning: Error) => warnings.push(warning.message);
  process.on("warning", note);
  await offer();
  const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.open(path)));
  for (const [i, client] of clients.entries()) {
    for (let n = 0; n < 8; n++) client.read(n, i * 1000, 30_000);
  }
  for (const [i, client] of clients.entries()) {
    for (let n = 0; n < 8; n++) {
      const { data } = await within(10_000, "a read", client.reply(30_000));
      assert.equal(data, image.subarray(i * 1000, i * 1000 + 30_000));
    }
    client.close();
  }
  process.off("warning", note);
  assert.equal(warnings, [], "Node sees no leak in many clients");
});

needing(tests, ["nbdcopy"])(
  "clients that stop reading delay no other, and hold no more than the budget",
  async ({ offer, path, image, sandbox }) => {
    const budget = new ByteBudget(64 * MIB);
    await offer({ budget });
    const stalled = await Promise.all(Array.from({ length: 5 }, () => RawClient.open(path)));
    for (const client of stalled) {
      client.socket.pause();
      for (let i = 0; i < 1000; i++) client.read(i, 0, MIB);
    }
    await until("they hold what they can", () => budget.used >= 8 * MIB);
    const before = process.memoryUsage().rss;
    const copy = sandbox.path("copy.img");
    for (let i = 0; i < 3; i++) {
      await within(30_000, "nbdcopy", sandbox.run("nbdcopy", [`nbd+unix:///?socket=${path}`, copy]));
    }
    assert.is(await sha256(copy), await sha256File(sandbox, image));
    assert.ok(budget.used <= 64 * MIB, `${budget.used} bytes held`);
    const growth = process.memoryUsage().rss - before;
    assert.ok(
      growth < 200 * MIB,
      `memory has grown by ${growth} bytes, of the 5,000 MiB that were asked for`,
    );

    // One that reads again after a while has missed nothing.
    const late = stalled[0]!;
    late.socket.resume();
    for (let i = 0; i < 200; i++) {
      const { error, data } = await within(10_000, "a late read", late.reply(MIB));
      assert.is(error, 0);
      if (i % 50 === 0) assert.equal(data, image.subarray(0, MIB));
    }
    for (const client of stalled) client.close();
    await until("all that they held is free", () => budget.used === 0);
  },
);

async function sha256File(sandbox: Sandbox, bytes: Buffer) {
  const file = sandbox.path("expected.img");
  writeFileSync(file, bytes);
  return sha256(file);
}

tests("a stale socket file is taken over", async ({ offer, path, image, sandbox }) => {
  const leave = `const server = require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"));`;
  await sandbox.start(process.execPath, ["-e", leave, path]).exit;
  assert.ok(existsSync(path), "a killed process leaves its socket file");
  await offer();
  await expectServed(path, image);
});

tests("a socket that somebody listens on is refused and goes on", async ({ offer, path }) => {
  const other = createServer((socket) => socket.on("error", () => {}).end("here"));
  await new Promise<void>((resolve) => other.listen(path, resolve));
  try {
    await expectFailure(offer(), `unix:${path}`, "it is in use by another process", "EADDRINUSE");
    const client = new RawClient(path);
    assert.is((await within(2000, "the other server", client.take(4))).toString(), "here");
    client.close();
  } finally {
    await new Promise((resolve) => other.close(resolve));
  }
});

tests("a file that is not a socket is refused and untouched", async ({ offer, path, sandbox }) => {
  const other = "there is something else of that name, which is not a socket";
  writeFileSync(path, "precious");
  await expectFailure(offer(), `unix:${path}`, other, "EADDRINUSE");
  assert.is(readFileSync(path, "utf8"), "precious");
  const { folder } = sandbox;
  const listening = listen(memoryExport(new Uint8Array(1)), { path: folder });
  await expectFailure(listening, `unix:${folder}`, other, "EADDRINUSE");
});

tests("a folder that is not there, a port in use, a host that is not this machine's", async ({ sandbox }) => {
  const target = memoryExport(new Uint8Array(1));
  const nowhere = `unix:${sandbox.path("nowhere/nbd.sock")}`;
  await expectFailure(listen(target, nowhere), nowhere, "there is no such folder", "ENOENT");
  const first = await listen(target, { host: "127.0.0.1", port: 0 });
  try {
    assert.ok("port" in first.address && first.address.port > 0, "the port that was free is told");
    const where = formatAddress(first.address);
    await expectFailure(listen(target, where), where, "it is in use by another process", "EADDRINUSE");
  } finally {
    await first.close();
  }
  const foreign = "tcp:192.0.2.1:0";
  await expectFailure(listen(target, foreign), foreign, "this machine has no such address", "EADDRNOTAVAIL");
  const long = `unix:/tmp/${"x".repeat(150)}`;
  const words = `the path of a unix socket has at most ${MAX_SOCKET_PATH} bytes, this one 155`;
  await expectFailure(listen(target, long), long, words, "ENAMETOOLONG");
});

async function expectFailure(promise: Promise<unknown>, where: string, message: string, code: string) {
  const error: NodeJS.ErrnoException = await promise.then(
    () => new Error("it listens"),
    (reason: Error) => reason,
  );
  assert.is(error.message, `listening on ${where}: ${message}`);
  assert.is(error.code, code);
}

for (const umask of [0, 0o022, 0o777]) {
  tests(`the socket's mode is 0600, with the umask ${umask.toString(8)}`, async ({ offer, path }) => {
    const before = process.umask(umask);
    try {
      await offer();
      assert.is(lstatSync(path).mode & 0o777, 0o600);
      assert.is(process.umask(), umask, "the umask is as it was");
    } finally {
      process.umask(before);
    }
  });
}

const greet = Buffer.from([0, 0, 0, 3]);
const option = (number: number, length: number, data = Buffer.alloc(0)) => {
  const header = Buffer.alloc(16);
  header.write("IHAVEOPT", "latin1");
  header.writeUInt32BE(number, 8);
  header.writeUInt32BE(length, 12);
  return Buffer.concat([header, data]);
};

/** What clients say that are broken, or no NBD clients at all. */
const malformed: Record<string, Buffer> = {
  nothing: Buffer.alloc(0),
  "another protocol": Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
  garbage: pattern(100_000),
  "unknown client flags": Buffer.from([0xff, 0xff, 0xff, 0xff]),
  "an option with a wrong magic": Buffer.concat([greet, Buffer.from("IHAVEOTHER__")]),
  "half an option": Buffer.concat([greet, option(7, 100, Buffer.alloc(20))]),
  "an option of 4 GiB": Buffer.concat([greet, option(7, 0xffffffff, Buffer.alloc(100_000))]),
  "lengths that contradict": Buffer.concat([
    greet,
    option(7, 6, Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0])),
  ]),
  "another export": Buffer.concat([greet, option(1, 5, Buffer.from("other"))]),
  "a request with a wrong magic": Buffer.concat([greet, option(1, 0), pattern(28)]),
  "half a request": Buffer.concat([greet, option(1, 0), Buffer.from([0x25, 0x60, 0x95, 0x13, 0, 0])]),
};

tests("malformed clients disturb no other, and nothing of them is left", async ({ offer, path, image }) => {
  const budget = new ByteBudget(64 * MIB);
  await offer({ budget });
  const steady = await RawClient.open(path);
  const descriptors = countDescriptors();
  for (const [what, words] of Object.entries(malformed)) {
    const client = new RawClient(path);
    await client.take(18);
    client.socket.write(words);
    steady.read(1, 0, 1000);
    assert.equal((await within(5000, what, steady.reply(1000))).data, image.subarray(0, 1000), what);
    await expectServed(path, image);
    client.socket.end();
    await within(5000, `${what}: the end of the connection`, client.end());
    client.close();
  }
  steady.close();
  await until("descriptors are free", () => countDescriptors() < descriptors);
  assert.is(budget.used, 0);
});

tests(
  "one that says a header in single bytes is understood, and waited for by nobody",
  async ({ offer, path, image }) => {
    await offer();
    const slow = await RawClient.open(path);
    const request = Buffer.alloc(28);
    request.writeUInt32BE(0x25609513);
    request.writeUInt32BE(16, 24);
    for (const byte of request) {
      slow.socket.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    await expectServed(path, image);
    assert.equal((await within(5000, "the reply", slow.reply(16))).data, image.subarray(0, 16));
    slow.close();
  },
);

tests(
  "one that does not choose the export in time is hung up on; one that has may be idle",
  async ({ offer, path, image }) => {
    await offer({ handshakeTime: 300 });
    const idle = await RawClient.open(path);
    const haggling: Record<string, Buffer[]> = {
      "says nothing": [],
      "stops after its flags": [greet],
      "stops in an option": [greet, option(7, 100, Buffer.alloc(20))],
      "asks, and does not choose": [greet, option(6, 6, Buffer.alloc(6)), option(3, 0)],
    };
    for (const [what, words] of Object.entries(haggling)) {
      const client = new RawClient(path);
      await client.take(18);
      for (const word of words) client.socket.write(word);
      await within(10_000, `the end of one that ${what}`, client.end());
      client.close();
    }
    idle.read(1, 0, 1000);
    assert.equal((await within(5000, "the read", idle.reply(1000))).data, image.subarray(0, 1000));
    idle.close();
  },
);

tests(
  "for one that has gone little is begun any more, whatever it had asked for",
  async ({ path, image }) => {
    let reads = 0;
    const waiting: (() => void)[] = [];
    const target = {
      ...memoryExport(image, { readOnly: true }),
      async read(offset: number, length: number) {
        reads++;
        await new Promise<void>((resolve) => waiting.push(resolve));
        return image.subarray(offset, offset + length);
      },
    };
    listeners.push(await listen(target, { path }));
    const descriptors = countDescriptors();
    const client = await RawClient.open(path);
    for (let i = 0; i < 1000; i++) client.read(i, 0, MIB);
    await until("it has in flight what it may", () => reads === 4);
    client.close();
    // That it has gone, and has not only ended what it says, shows when a reply can't be sent.
    await until("it has gone", () => {
      waiting.shift()?.();
      return countDescriptors() <= descriptors;
    });
    for (let turn = 0; turn < 100; turn++) {
      for (const answer of waiting.splice(0)) answer();
      await new Promise(setImmediate);
    }
    assert.ok(reads <= 16, `${reads} reads were begun`);
  },
);

tests("100 connections leave no descriptor behind", async ({ offer, path, image }) => {
  await offer();
  await expectServed(path, image);
  const before = countDescriptors();
  for (let i = 0; i < 100; i++) {
    const client = await RawClient.open(path);
    client.read(1, 0, 100_000);
    if (i % 3 === 0) await client.reply(100_000);
    if (i % 3 === 1) client.send(2, 0, 0, 0);
    client.close();
  }
  await until("descriptors are free", () => countDescriptors() <= before);
});

function countDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

tests(
  "close answers what is outstanding, hangs up on who does not read, and removes the socket",
  async ({ path }) => {
    let answer = () => {};
    const bytes = pattern(MIB);
    const target = {
      ...memoryExport(bytes, { readOnly: true }),
      read: (offset: number, length: number) =>
        new Promise<Uint8Array>((resolve) => {
          answer = () => resolve(bytes.slice(offset, offset + length));
        }),
    };
    const listener = await listen(target, { path });
    const [reader, idle] = [await RawClient.open(path), await RawClient.open(path)];
    reader.read(9, 100, 200);
    const before = answer;
    await until("the read has arrived", () => answer !== before);
    const closed = listener.close();
    answer();
    const { cookie, data } = await within(1000, "the last reply", reader.reply(200));
    assert.is(cookie, 9);
    assert.equal(data, bytes.subarray(100, 300));
    await within(1000, "close", closed);
    await within(1000, "the reader's end", reader.end());
    await within(1000, "the idle client's end", idle.end());
    assert.not.ok(existsSync(path));
    const refused = new Promise<string>((resolve) => {
      const probe: Socket = connect(path, () => resolve("connected"));
      probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    });
    assert.is(await refused, "ENOENT");
  },
);

tests.run();
