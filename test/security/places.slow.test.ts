/** A place on this machine, a socket or a device, has one session: whoever gets it must be able to use it, and give it back. */
import { existsSync, mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import {
  join,
  listen,
  memoryExport,
  nbdClient,
  nbdServer,
  socketTransport,
  webSocket,
} from "../../src/node/index.ts";
import { hex } from "../bytes.ts";
import { type Running, Sandbox, until, within } from "../harness.ts";
import { greeting } from "../nbd/words.ts";
import { startProxy, wireOf } from "../system/link.ts";
import { eachWay, type Way } from "./each-way.ts";
import { type GatewayHere, gatewayHere } from "./gateway-here.ts";

/** A gateway whose one configuration listens in the sandbox. */
interface Context extends GatewayHere, Way {
  sandbox: Sandbox;
  /** Where it listens once it has an export. */
  path: string;
}

const tests = eachWay<Context>("places");

const target = memoryExport(new Uint8Array(4096));

tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.path = context.sandbox.path("nbd.sock");
  Object.assign(context, await startGateway(context, `unix:${context.path}`));
});
tests.after.each(async ({ sandbox, running }) => {
  await running.close();
  await sandbox.end();
});

/** A gateway whose one configuration listens at an address. */
const startGateway = ({ sandbox, hasLogin }: Context, address: string) =>
  gatewayHere(sandbox, { local: { listen: address, insecure: true } }, { hasLogin });

/** Connects, says what it is told to, and listens. */
function stranger({ port, headers }: GatewayHere, words: Uint8Array = new Uint8Array(0)) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/local`, { headers });
  const heard: Buffer[] = [];
  socket.on("error", () => {});
  socket.on("message", (bytes) => heard.push(bytes as Buffer));
  const open = new Promise<void>((resolve) =>
    socket.once("open", () => {
      if (words.length > 0) socket.send(words);
      resolve();
    }),
  );
  const closed = new Promise<string>((resolve) =>
    socket.once("close", (_, reason) => resolve(String(reason))),
  );
  return { socket, heard, open, closed };
}

/** The greeting of an NBD server. */
const GREETING = hex(greeting("0000"));

/** Bytes of a client's flags, which come before anything that is asked. */
const FLAGS = 4;

/** A server that is what it should be. */
function realServer({ port, headers }: GatewayHere) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/local`, { headers });
  const ended = join(webSocket(socket), nbdServer(memoryExport(new Uint8Array(4096), { readOnly: true })));
  ended.catch(() => {});
  return { ended, stop: () => socket.close(1000) };
}

/** Serves until local clients can be served, and leaves. */
async function getIn(context: Context, attempt: number) {
  const { path, log } = context;
  const server = realServer(context);
  await Promise.race([
    until(`real server ${attempt} is served`, () => existsSync(path), 5000),
    server.ended.then(() => assert.unreachable(`it was sent away: ${log.at(-1)}`)),
  ]);
  server.stop();
  await server.ended;
  await until("its socket is gone", () => !existsSync(path));
}

tests("WebSockets that say nothing keep nobody out: 10 of 10 real servers get in", async (context) => {
  const silent = [stranger(context), stranger(context)];
  await Promise.all(silent.map(({ open }) => open));
  for (let attempt = 1; attempt <= 10; attempt++) await getIn(context, attempt);
});

tests("nor do some that keep coming", async (context) => {
  const silent: WebSocket[] = [];
  const timer = setInterval(() => {
    if (silent.length < 100) silent.push(stranger(context).socket);
  }, 5);
  try {
    await until("some are there", () => silent.length > 3);
    for (let attempt = 1; attempt <= 10; attempt++) await getIn(context, attempt);
  } finally {
    clearInterval(timer);
    for (const socket of silent) socket.terminate();
  }
});

tests("of those that have connected the first to greet has the place", async (context) => {
  const late = stranger(context);
  await late.open;
  const server = realServer(context);
  await until("the real server is served", () => existsSync(context.path));
  late.socket.send(GREETING);
  // With a login it is told who that is.
  const words = /^(this configuration is in use by another session|in use since .* from 127\.0\.0\.1.*)$/;
  assert.match(await within(2000, "the end of the late one", late.closed), words);
  const later = stranger(context);
  assert.match(await within(2000, "the end of one that comes later", later.closed), words);
  // Whether it belongs to the session is found out first; it has not said enough to be asked.
  for (const { heard } of [late, later]) assert.ok(Buffer.concat(heard).length <= FLAGS, `${heard}`);
  assert.ok(await reads({ path: context.path }));
  server.stop();
  await server.ended;
});

tests("two that greet at the same time: one is served, the other is told", async (context) => {
  for (let round = 1; round <= 10; round++) {
    const servers = [realServer(context), realServer(context)];
    const [loser] = await Promise.race(
      servers.map((server, i) =>
        server.ended.then(
          () => [],
          (error: Error) => [i, error.message] as const,
        ),
      ),
    );
    assert.ok(loser !== undefined, "one is sent away");
    const winner = servers[1 - loser]!;
    await until("the other is served", () => existsSync(context.path));
    assert.ok(await reads({ path: context.path }));
    winner.stop();
    await winner.ended;
    await until("its socket is gone", () => !existsSync(context.path));
  }
});

tests("one that says nothing, or its greeting a byte at a time, has 5 s", async (context) => {
  const began = performance.now();
  const silent = stranger(context);
  const slow = stranger(context);
  await Promise.all([silent.open, slow.open]);
  let said = 0;
  const timer = setInterval(() => slow.socket.send(GREETING.subarray(said, ++said)), 1000);
  try {
    const words = "the server did not answer for 5 s";
    assert.is(await within(8000, "the end of the silent one", silent.closed), words);
    assert.ok(performance.now() - began > 4500);
    assert.is(await within(3000, "the end of the slow one", slow.closed), words);
  } finally {
    clearInterval(timer);
  }
  await getIn(context, 1);
});

tests.once(
  "nbd-proxy gives its place back after 5 s of silence, also with a timeout of 0",
  async ({ sandbox }) => {
    const proxy = startProxy(sandbox, { timeout: 0 });
    assert.is(await within(20_000, "nbd-proxy", proxy.exit), 1);
    assert.is(proxy.stderr, "nbd-proxy: the server did not answer for 5 s\n");
    await (await listen(memoryExport(new Uint8Array(1)), { path: proxy.socket })).close();
  },
);

tests.once("an nbd-proxy whose server says nothing keeps no other out", async ({ sandbox }) => {
  const silent = startProxy(sandbox);
  const proxy = startProxy(sandbox);
  join(wireOf(proxy), nbdServer(target)).catch(() => {});
  await until("the other is attached", () => / bytes, writable, on /.test(proxy.stderr), 20_000);
  const late = await within(20_000, "the end of the silent one", silent.exit);
  assert.is(late, 1);
  assert.ok(await reads({ path: proxy.socket }));
});

/** What can be known of a place before there is an export to put there: how it comes about, and what is said of it. */
const unusable: Record<string, { make(context: Context): Promise<[string, Server?]>; fault: string }> = {
  "a path that somebody listens on": {
    make: async ({ path }) => [`unix:${path}`, await listening({ path })],
    fault: "it is in use by another process",
  },
  "a path where something else is": {
    async make({ path }) {
      writeFileSync(path, "precious");
      return [`unix:${path}`];
    },
    fault: "there is something else of that name, which is not a socket",
  },
  "a path whose folder is not there": {
    make: async ({ sandbox }) => [`unix:${sandbox.path("nowhere/nbd.sock")}`],
    fault: "there is no such folder",
  },
  "a path whose folder is a file": {
    async make({ sandbox }) {
      writeFileSync(sandbox.path("file"), "");
      return [`unix:${sandbox.path("file/nbd.sock")}`];
    },
    fault: "there is no such folder",
  },
  "a port that somebody listens on": {
    async make() {
      const server = await listening({ host: "127.0.0.1", port: 0 });
      return [`tcp:127.0.0.1:${(server.address() as AddressInfo).port}`, server];
    },
    fault: "it is in use by another process",
  },
  "an address that is another machine's": {
    make: async () => ["tcp:192.0.2.1:10809"],
    fault: "this machine has no such address",
  },
};

async function listening(address: { path: string } | { host: string; port: number }): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => {}).end("here"));
  await new Promise<void>((resolve) => server.listen(address, resolve));
  return server;
}

for (const [what, { make, fault }] of Object.entries(unusable)) {
  tests(`${what}: the other side is told before it is asked anything`, async (context) => {
    const { sandbox } = context;
    const [address, server] = await make(context);
    const other = await startGateway(context, address);
    const { log } = other;
    try {
      const { heard, closed } = stranger(other, GREETING);
      const words = "the other machine has no place for the disk; its log says why";
      assert.is(await within(5000, "the end of the session", closed), words);
      assert.equal(heard, []);
      const line = `${sandbox.path("config.json")}: configuration "local": "listen": ${address}: ${fault}`;
      assert.equal(log, [`local: ${line}`]);

      const proxy = startProxy(sandbox, { listen: address, insecure: true });
      let said = 0;
      proxy.process.stdout!.on("data", ({ length }) => {
        said += length;
      });
      proxy.process.stdin!.on("error", () => {}).write(GREETING);
      assert.is(await within(20_000, "nbd-proxy", proxy.exit), 1);
      assert.is(proxy.stderr, `nbd-proxy: ${line}\n`);
      assert.is(said, 0);
    } finally {
      await other.running.close();
      server?.close();
    }
  });
}

tests("a client that connects to a port before there is an export is hung up on", async (context) => {
  const free = await listening({ host: "127.0.0.1", port: 0 });
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const other = await startGateway(context, `tcp:127.0.0.1:${port}`);
  const { log } = other;
  try {
    const slow = stranger(other, GREETING);
    await until("the port is claimed", () => slow.heard.length > 0);
    const isHungUpOn = () =>
      new Promise<boolean>((resolve) => {
        const client = connect({ host: "127.0.0.1", port });
        client.resume();
        client.once("error", () => resolve(false));
        client.once("end", () => resolve(true));
      });
    assert.ok(await isHungUpOn());
    slow.socket.terminate();
    await until("the port is free again", () => log.length > 0);
    const server = realServer(other);
    await until("it is served", () => log.some((line) => / bytes, read-only, on /.test(line)));
    assert.ok(await reads({ host: "127.0.0.1", port }));
    server.stop();
    await server.ended;
  } finally {
    await other.running.close();
  }
});

/** Leaves a socket file on which nobody listens. */
async function leaveStale(sandbox: Sandbox, path: string) {
  const script = `require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
  await sandbox.start(process.execPath, ["-e", script, path]).exit;
  assert.ok(existsSync(path), "a killed process leaves its socket file");
}

/** Whether an export can be read there. */
async function reads(address: { path: string } | { host: string; port: number }): Promise<boolean> {
  const remote = await nbdClient(socketTransport(connect({ ...address, allowHalfOpen: true })));
  const { length } = (await remote.read(0, 4096)) as Uint8Array;
  await remote.close();
  return length === 4096;
}

tests.once("two that take over a stale socket at once: one has it until it ends", async ({ sandbox }) => {
  for (let round = 1; round <= 10; round++) {
    const path = sandbox.path(`stale-${round}.sock`);
    await leaveStale(sandbox, path);
    const both = await Promise.allSettled([listen(target, { path }), listen(target, { path })]);
    const got = both.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    assert.is(got.length, 1, `round ${round}`);
    const refused = both.find((one) => one.status === "rejected") as PromiseRejectedResult;
    const words = `listening on unix:${path}: it is in use by another process`;
    assert.is((refused.reason as Error).message, words);
    assert.ok(await reads({ path }));
    await got[0]!.close();
    assert.not(existsSync(path));
  }
});

tests.once("two processes that take over a stale socket at once: one has it", async ({ sandbox, path }) => {
  await leaveStale(sandbox, path);
  const proxies = [startProxy(sandbox), startProxy(sandbox)];
  for (const proxy of proxies) {
    proxy.process.stdin!.on("error", () => {});
    join(wireOf(proxy), nbdServer(target)).catch(() => {});
  }
  const isAttached = ({ stderr }: Running) => / bytes, writable, on /.test(stderr);
  await until("one is attached", () => proxies.some(isAttached), 20_000);
  const status = await within(20_000, "the end of the other", Promise.race(proxies.map(({ exit }) => exit)));
  assert.is(status, 1);
  assert.is(proxies.filter(isAttached).length, 1);
  assert.ok(await reads({ path }));
});

tests.once("what is at the path by then is another one's, and stays", async ({ path }) => {
  const listener = await listen(target, { path });
  unlinkSync(path);
  const other = await listening({ path });
  await listener.close();
  assert.ok(existsSync(path));
  await new Promise((resolve) => other.close(resolve));

  const second = await listen(target, { path });
  unlinkSync(path);
  writeFileSync(path, "precious");
  await second.close();
  assert.is(readFileSync(path, "utf8"), "precious");
});

tests("what comes to be at the path during the handshake is not replaced", async (context) => {
  const { path, log } = context;
  const slow = stranger(context, GREETING);
  // Nothing is said to it before the place is claimed.
  await until("the place is claimed", () => slow.heard.length > 0);
  const other = await listening({ path });
  // The size and the flags of an export, from a server that knows no option but EXPORT_NAME.
  slow.socket.send(Buffer.concat([Buffer.from("0000000000100000" + "0003", "hex"), Buffer.alloc(124)]));
  await within(5000, "its end", slow.closed);
  const words = `configuration "local": listening on unix:${path}: it is in use by another process`;
  assert.is(log.at(-1), `local: ${words}`);
  assert.ok(existsSync(path));
  await new Promise((resolve) => other.close(resolve));
});

tests.once(
  "a path gets its socket when clients can be served, and nothing is left beside it",
  async ({ sandbox }) => {
    mkdirSync(sandbox.path("folder"));
    const path = sandbox.path("folder/s");
    const listener = await listen(target, { path });
    assert.equal(readdirSync(sandbox.path("folder")), ["s"]);
    assert.ok(await reads({ path }));
    await listener.close();
    assert.equal(readdirSync(sandbox.path("folder")), []);
  },
);

/** A path of so many bytes, whose last name has `last` of them. */
function longPath(sandbox: Sandbox, bytes: number, last: number): string {
  const folder = sandbox.path("x".repeat(bytes - Buffer.byteLength(sandbox.path("")) - last - 2));
  mkdirSync(folder, { recursive: true });
  return `${folder}/${"s".repeat(last)}`;
}

for (const last of [1, 2, 3, 9, 20]) {
  tests.once(
    `a path of 107 bytes, the last name of ${last}, is served; one of 108 is refused`,
    async ({ sandbox }) => {
      const path = longPath(sandbox, 107, last);
      assert.is(Buffer.byteLength(path), 107);
      const listener = await listen(target, { path });
      assert.ok(await reads({ path }));
      await listener.close();
      assert.not(existsSync(path));

      const fault = await listen(target, { path: `${path}s` }).then(
        () => "it listens",
        ({ message }: Error) => message,
      );
      const words = "the path of a unix socket has at most 107 bytes, this one 108";
      assert.is(fault, `listening on unix:${path}s: ${words}`);
      assert.equal(readdirSync(path.slice(0, -last - 1)), []);
    },
  );
}

tests.run();
