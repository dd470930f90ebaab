/** What requests cost the process: descriptors, memory, connections, and never its life. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import {
  memoryExport,
  nbdClient,
  nbdServer,
  parseConfig,
  join as pipe,
  socketTransport,
  gateway as startHere,
  webSocket,
} from "../../src/node/index.ts";
import { readToken } from "../../src/node/login/token-file.ts";
import { program, type Running, root, Sandbox, until } from "../harness.ts";
import { exchange, statusOf } from "../node/raw-http.ts";
import { eachWay } from "./each-way.ts";
import { bearer } from "./login-here.ts";
import { writePage } from "./page.ts";

/*
 * Where there is a login, the session has it, and those who attack have none. What those have taken who are no strangers is
 * bounded as without a login, so that is tested once.
 */
const tests = eachWay("what HTTP costs the gateway");

let sandbox: Sandbox;
let gateway: Running;
let port: number;
let connections: Socket[];
let asksForLogin: boolean;

const localSocket = () => sandbox.path("one.sock");
const tokenFile = () => sandbox.path("login/token");
const own = () => `Host: 127.0.0.1:${port}`;

tests.before.each(({ hasLogin }) => {
  sandbox = new Sandbox();
  asksForLogin = hasLogin;
  connections = [];
});

tests.after.each(async () => {
  for (const connection of connections) connection.destroy();
  await sandbox.end();
});

/** Starts the gateway with one configuration; with `descriptors`, it has no more than so many. */
async function start(descriptors?: number): Promise<void> {
  const configurations = { one: { listen: `unix:${localSocket()}` } };
  const config = sandbox.path("config.json");
  await writeFile(config, JSON.stringify({ "state-hook": "/nowhere", configurations }));
  const login = asksForLogin ? ["--token-file", tokenFile()] : ["--no-auth"];
  const command = [program("nbd-gateway"), "--config", config, "--port", "0", ...login];
  const limit = descriptors === undefined ? "" : `ulimit -n ${descriptors};`;
  gateway = sandbox.start("/bin/sh", ["-c", `${limit} exec "$@"`, "sh", ...command]);
  await until("the URL", () => gateway.stdout.endsWith("\n"));
  port = Number(new URL(gateway.stdout).port);
}

const descriptors = () => readdirSync(`/proc/${gateway.pid}/fd`).length;

/** The most memory that it has had, in MiB. */
function peak(): number {
  const [, kibibytes] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${gateway.pid}/status`, "utf8"))!;
  return Number(kibibytes) / 1024;
}

/** A connection that says something, and whose answer nobody reads; errors are for the gateway to survive. */
function connect(what = ""): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1", () => resolve(socket));
    connections.push(socket);
    socket.on("error", () => resolve(socket));
    socket.pause();
    if (what) socket.write(what);
  });
}

/** A session, which is to go on whatever happens beside it. */
class Session {
  readonly #image = Uint8Array.from({ length: 100_001 }, (_, i) => (i * 7) & 0xff);
  readonly #socket = new WebSocket(`ws://127.0.0.1:${port}/one`, {
    headers: asksForLogin ? bearer(readToken(tokenFile())) : {},
  });

  async start(): Promise<this> {
    const exported = memoryExport(this.#image, { readOnly: true });
    pipe(webSocket(this.#socket), nbdServer(exported)).catch(() => {});
    await until("the session is there", () => existsSync(localSocket()));
    return this;
  }

  async check(): Promise<void> {
    const local = createConnection({ path: localSocket(), allowHalfOpen: true });
    const remote = await nbdClient(socketTransport(local));
    assert.equal(await remote.read(0, remote.size), this.#image);
    await remote.close();
    assert.is(this.#socket.readyState, WebSocket.OPEN);
  }

  stop(): void {
    this.#socket.terminate();
  }
}

tests("a Range, whatever it says, gets the whole file, and a session beside it goes on", async () => {
  await start();
  const session = await new Session().start();
  const whole = await readFile(`${root}/dist/web/page.js`, "utf8");
  for (const range of [
    "bytes=5-2",
    "bytes=0-3",
    "bytes=-1",
    "bytes=999999999-",
    "bytes=x",
    "bytes=0-1,3-2",
    "q=1",
  ]) {
    const answer = await exchange(port, [
      "GET /page.js HTTP/1.1",
      own(),
      `Range: ${range}`,
      "Connection: close",
    ]);
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/, range);
    assert.not.match(answer, /Accept-Ranges|Content-Range/i);
    assert.ok(answer.endsWith(`\r\n\r\n${whole}`), range);
    await session.check();
  }
  session.stop();
});

tests("100 requests that are reset leave no descriptor open", async () => {
  await start();
  const before = descriptors();
  for (let i = 0; i < 100; i++)
    (await connect(`GET /page.js HTTP/1.1\r\n${own()}\r\n\r\n`)).resetAndDestroy();
  await until("they are gone", () => descriptors() <= before);
  assert.is((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
});

tests("connections that send requests without reading cost neither memory nor descriptors", async () => {
  await start();
  const session = await new Session().start();
  const [memory, before] = [peak(), descriptors()];
  const request = `GET /page.js HTTP/1.1\r\n${own()}\r\n\r\n`;
  await Promise.all(Array.from({ length: 12 }, () => connect(request.repeat(1300))));
  await session.check();
  assert.ok(descriptors() <= before + 12 + 4, `${descriptors()} descriptors, ${before} before`);
  await until("they are gone", () => descriptors() <= before, 60_000);
  assert.ok(peak() < memory + 128, `${peak()} MiB at most, ${memory} before`);
  assert.match(
    gateway.stderr,
    /refused a request with 400: a request before this one has not been answered yet\n/,
  );
  session.stop();
});

tests.once("an answer that nobody takes is given up after its time, which is 10 s", async () => {
  const folder = await writePage(sandbox.path("web"));
  await writeFile(`${folder}/large`, new Uint8Array(15 << 20)); // more than the system takes for somebody
  const config = parseConfig("config.json", JSON.stringify({ configurations: {} }));
  const running = await startHere({ config, port: 0, staticFolder: folder, log() {} });
  port = Number(new URL(running.url).port);
  const own = readdirSync("/proc/self/fd").length;
  const began = performance.now();
  const socket = await connect(`GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  // Ours and the gateway's.
  await until("it is taken", () => readdirSync("/proc/self/fd").length === own + 2);
  await until("it is given up", () => readdirSync("/proc/self/fd").length === own + 1, 20_000);
  assert.ok(performance.now() - began > 9000);
  socket.destroy();
  await running.close();
});

tests.once("keep-alive ends after 100 requests, and 6 s after the last one", async () => {
  await start();
  const before = descriptors();
  let text = "";
  const socket = await connect();
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.resume();
  const ended = new Promise((resolve) => socket.once("end", resolve));
  const answers = () => text.match(/HTTP\/1\.1 200 OK/g)?.length ?? 0;
  for (let i = 1; i <= 100; i++) {
    socket.write(`HEAD / HTTP/1.1\r\n${own()}\r\n\r\n`);
    await until("the answer", () => answers() === i && text.endsWith("\r\n\r\n"));
  }
  await ended;
  assert.match(text, /\r\nConnection: close\r\n/);
  await connect(`GET / HTTP/1.1\r\n${own()}\r\n\r\n`);
  await until("it is taken", () => descriptors() > before);
  await until("it is ended", () => descriptors() <= before, 10_000);
});

tests.once(
  "there are 384 connections at most, sessions included; the next one is told, and those are let go that are idle",
  async () => {
    await start();
    const session = await new Session().start();
    const before = descriptors();
    const idle = `GET / HTTP/1.1\r\n${own()}\r\n\r\n`;
    for (let i = 0; i < 378; i++) await connect();
    for (let i = 0; i < 5; i++) (await connect(idle)).resume();
    await until("all are there", () => descriptors() === before + 383);
    await until("5 have been answered", () => connections.slice(-5).every((one) => one.bytesRead > 0));
    assert.is(statusOf(await exchange(port, ["GET / HTTP/1.1", own(), "Connection: close"])), 200);
    await until("the idle ones are gone", () => descriptors() === before + 378);
    for (let i = 0; i < 5; i++) await connect();
    await until("all are there", () => descriptors() === before + 383);
    for (let i = 0; i < 10; i++) assert.is(statusOf(await exchange(port, ["GET / HTTP/1.1", own()])), 503);
    assert.ok(descriptors() <= before + 384);
    assert.match(gateway.stderr, /refused a connection: 384 are open, which is the limit\n/);
    await session.check();
    for (const one of connections) one.destroy();
    await until("there is room", () => descriptors() <= before);
    assert.is(statusOf(await exchange(port, ["GET / HTTP/1.1", own(), "Connection: close"])), 200);
    session.stop();
  },
);

tests("1,000 connections that say nothing, or very little, leave a session unharmed", async () => {
  await start();
  const session = await new Session().start();
  await session.check();
  const [memory, before] = [peak(), descriptors()];
  // Of those who have not logged in there are 32; a few more may be on their way out.
  const most = asksForLogin ? 40 : 384;
  const dripping: Socket[] = [];
  let refused = 0;
  for (let i = 0; i < 1000; i++) {
    const isSlow = i % 2 === 0;
    const socket = await connect(isSlow ? "GET / HTTP/1.1\r\n" : "");
    socket.resume();
    socket.once("close", () => refused++);
    if (isSlow) dripping.push(socket);
  }
  const drip = setInterval(() => {
    for (const socket of dripping) if (socket.writable) socket.write("X: y\r\n");
  }, 1000);
  try {
    assert.ok(descriptors() <= before + most, `${descriptors()} descriptors, ${before} before`);
    let longest = 0;
    for (const end = performance.now() + 8000; performance.now() < end; ) {
      const began = performance.now();
      await session.check();
      longest = Math.max(longest, performance.now() - began);
    }
    assert.ok(longest < 2000, `${longest} ms`);
    assert.ok(refused >= 1000 - most, `${refused} have been refused`);
    await until("all have been let go", () => descriptors() <= before, 20_000);
  } finally {
    clearInterval(drip);
  }
  assert.ok(peak() < memory + 64, `${peak()} MiB at most, ${memory} before`);
  const line = asksForLogin
    ? /ended a connection: 32 have not logged in, which is the limit, and it was the oldest/
    : /refused a connection with 408: a request took longer than "handshake-timeout"/;
  assert.match(gateway.stderr, line);
  await session.check();
  session.stop();
});

tests("few file descriptors are left to sessions, which is said", async () => {
  await start(64);
  const session = await new Session().start();
  for (let i = 0; i < 100; i++) await connect();
  await until("it is said", () =>
    /refused a connection: nearly all of the 64 file descriptors/.test(gateway.stderr),
  );
  await session.check();
  session.stop();
});

tests("no file descriptors left at all is survived by the gateway and the session", async () => {
  await start(64);
  const session = await new Session().start();
  const before = descriptors();
  for (let i = 0; i < 100; i++) {
    const local = createConnection(localSocket());
    connections.push(local.on("error", () => {}));
  }
  await until("they are used up", () => descriptors() >= 60);
  const asked = Array.from({ length: 20 }, () => exchange(port, ["GET / HTTP/1.1", own()]).catch(() => ""));
  for (const answer of await Promise.all(asked))
    assert.ok(["", "503"].includes(answer && String(statusOf(answer))));
  for (const one of connections) one.destroy();
  await until("they are free again", () => descriptors() <= before);
  await session.check();
  assert.is((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
  session.stop();
});

tests.run();
