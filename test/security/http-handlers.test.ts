/** Each handler of the gateway throws, while a session goes on: it costs a connection, and a line of the log. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { Server } from "node:http";
import { type AddressInfo, createConnection, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { UnflushedMemory } from "../../src/export/resume/unflushed-memory.ts";
import { front } from "../../src/node/gateway/front.ts";
import { LimitedLog } from "../../src/node/gateway/limited-log.ts";
import { PageFiles } from "../../src/node/gateway/page-files.ts";
import { Sessions } from "../../src/node/gateway/sessions.ts";
import { Board } from "../../src/node/gateway/status/board.ts";
import { WebSockets } from "../../src/node/gateway/web-sockets.ts";
import {
  type Config,
  type Gateway,
  gateway,
  MemoryBudget,
  memoryExport,
  nbdClient,
  nbdServer,
  parseConfig,
  join as pipe,
  socketTransport,
  webSocket,
} from "../../src/node/index.ts";
import { processBudget } from "../../src/node/session/listen.ts";
import { Sandbox, until } from "../harness.ts";
import { onLookers } from "../node/gateway/on-lookers.ts";
import { exchange, statusOf, upgrade } from "../node/raw-http.ts";
import { eachWay } from "./each-way.ts";
import { type LoginHere, linesOf, loginHere } from "./login-here.ts";
import { writePage } from "./page.ts";

const tests = eachWay("handlers that throw");

/** What is thrown need not be an error, nor become text. */
const thrown = [new Error("by the test"), "by the test", undefined, Object.create(null)];

let sandbox: Sandbox;
let log: string[];
let login: LoginHere;

tests.before.each(({ hasLogin }) => {
  sandbox = new Sandbox();
  log = [];
  login = loginHere({ hasLogin });
});

tests.after.each(async () => {
  login.end();
  await sandbox.end();
});

/** Parts of the configuration that fail while `failure` says so. */
function failing(failure: () => unknown): Config {
  const listen = `unix:${sandbox.path("one.sock")}`;
  const config = parseConfig("config.json", JSON.stringify({ configurations: { one: { listen } } }));
  const one = config.configurations.get("one")!;
  const fail = <T>(value: T): T => {
    const reason = failure();
    if (reason !== FINE) throw reason;
    return value;
  };
  return {
    ...config,
    get allowedHosts() {
      return fail([]);
    },
    configurations: new Map([
      ["one", { ...one, stateHook: "/nowhere", metadata: { toJSON: () => fail({}) } }],
    ]),
  };
}
const FINE = Symbol("nothing fails");

async function startSession(running: Gateway) {
  const socket = new WebSocket(running.url.replace("http", "ws"), { headers: login.headers });
  const image = Uint8Array.from({ length: 100_001 }, (_, i) => (i * 7) & 0xff);
  pipe(webSocket(socket), nbdServer(memoryExport(image, { readOnly: true }))).catch(() => {});
  const path = sandbox.path("one.sock");
  await until("the session is there", () => existsSync(path));
  return {
    async check() {
      const remote = await nbdClient(socketTransport(createConnection({ path, allowHalfOpen: true })));
      assert.equal(await remote.read(0, remote.size), image);
      await remote.close();
    },
  };
}

tests("a request and an upgrade: status 500, one line, and the session goes on", async () => {
  let failure: unknown = FINE;
  const running = await gateway({
    config: failing(() => failure),
    port: 0,
    staticFolder: await writePage(sandbox.path("web")),
    log: (line) => log.push(line),
    ...login.options,
  });
  const port = Number(new URL(running.url).port);
  const session = await startSession(running);
  const requests = [
    ["GET /metadata HTTP/1.1"],
    ["GET /page.js HTTP/1.1"],
    ["GET /one HTTP/1.1"],
    ["GET /one HTTP/1.1", ...upgrade],
  ];
  for (const reason of thrown) {
    for (const [line, ...headers] of requests) {
      log.length = 0;
      failure = reason;
      const request = [
        line!,
        `Host: 127.0.0.1:${port}`,
        ...linesOf(login.headers),
        ...(headers.length > 0 ? headers : ["Connection: close"]),
      ];
      const answer = await exchange(port, request);
      failure = FINE;
      assert.is(statusOf(answer), 500, line);
      assert.match(answer, /\r\n\r\nthe gateway failed; its log says why\n?$/);
      // The session's own line may come only now.
      const lines = log.filter((line) => !line.startsWith("one: "));
      assert.is(lines.length, 1, lines.join("\n"));
      assert.match(
        lines[0]!,
        /^refused "GET .*" with 500: (by the test|undefined|an error that cannot be shown) /,
      );
    }
    await session.check();
  }
  await running.close();
});

tests("metadata that does not become JSON, and a default that does not become a header", async () => {
  const circular: Record<string, unknown> = {};
  circular.itself = circular;
  for (const change of [{ metadata: circular }, { metadata: 1n }, { defaultName: "\ud800" }]) {
    const config = failing(() => FINE);
    const one = { ...config.configurations.get("one")!, metadata: null, ...change };
    const running = await gateway({
      config: { ...config, ...change, configurations: new Map([["one", one]]) },
      port: 0,
      staticFolder: await writePage(sandbox.path(`web${Object.keys(change)}${typeof change.metadata}`)),
      log: (line) => log.push(line),
      ...login.options,
    });
    const { status } = await fetch(new URL("/metadata", running.url), { headers: login.headers });
    assert.is(status, 500);
    assert.is((await fetch(running.url)).status, 200);
    await running.close();
  }
});

tests("a log that throws: requests that are refused, garbage, connections that are too many", async () => {
  const running = await gateway({
    config: failing(() => FINE),
    port: 0,
    staticFolder: await writePage(sandbox.path("web")),
    maxConnections: 2,
    log() {
      throw new Error("by the test");
    },
    ...login.options,
  });
  const port = Number(new URL(running.url).port);
  const session = await startSession(running);
  const host = `Host: 127.0.0.1:${port}`;
  assert.is(statusOf(await exchange(port, ["GET / HTTP/1.1", host, "Origin: null"])), 403);
  assert.is(statusOf(await exchange(port, ["GET /one HTTP/1.1", host, "Origin: null", ...upgrade])), 403);
  assert.is(
    statusOf(
      await exchange(port, ["GET /one HTTP/1.1", host, ...linesOf(login.headers), ...upgrade.slice(0, 2)]),
    ),
    400,
  );
  assert.is(statusOf(await exchange(port, ["CONNECT /one HTTP/1.1", host])), 405);
  assert.is(statusOf(await exchange(port, ["\x16\x03\x01"])), 400);
  // Another session that is refused.
  const second = new WebSocket(running.url.replace("http", "ws"), { headers: login.headers });
  const closed = new Promise((resolve) => second.once("close", resolve));
  second.on("error", () => {});
  await new Promise((resolve) => second.once("open", resolve));
  assert.is(statusOf(await exchange(port, ["GET / HTTP/1.1", host])), 503);
  second.terminate();
  await closed;
  const get = ["GET / HTTP/1.1", host, "Connection: close"];
  await until("its place is free", async () => statusOf(await exchange(port, get)) === 200);
  await session.check();
  await running.close();
});

tests.once("a session that cannot begin", async () => {
  const sessions = new Sessions({
    config: failing(() => FINE),
    budget: processBudget(),
    memory: new MemoryBudget(0),
    unflushed: new UnflushedMemory(),
    pingInterval: 10_000,
    tellsWho: false,
    signal: new AbortController().signal,
    log: new LimitedLog((line) => log.push(line)),
    board: new Board(),
  });
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const none = undefined as unknown as Socket; // nothing can be asked of it
  server.on("connection", (client) =>
    sessions.start(client, none, { path: "/", address: "127.0.0.1", takesOver: false }),
  );
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await once(client, "close");
  assert.is(log.length, 1);
  assert.match(log[0]!, /^a session could not begin: /);
  await sessions.over();
  server.close();
});

/** A server whose WebSockets are echoed, and have listeners that throw. */
async function echoing(listen: (client: WebSocket, socket: Socket, path: string) => void): Promise<Server> {
  const sockets = new WebSockets((line) => log.push(line));
  const config = failing(() => FINE);
  const server = front({
    config,
    page: new PageFiles(new Map()),
    maxConnections: 10,
    signal: new AbortController().signal,
    eject: async () => false,
    pull: async () => undefined,
    ...onLookers(config),
    upgrade: (request, socket, head) =>
      sockets.upgrade(request, socket, head, (client, connection) => {
        client.on("message", (data) => client.send(data));
        listen(client, connection, request.url!);
      }),
    log: (line) => log.push(line),
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

tests.once("a WebSocket's start, a message, its end, and a timer of its socket", async () => {
  const fail = () => {
    throw new Error("by the test");
  };
  const handlers: Record<string, (client: WebSocket, socket: Socket) => void> = {
    start: fail,
    message: (client) => client.on("message", fail),
    close: (client) => client.on("close", fail),
    timeout: (_client, socket) => socket.setTimeout(1).on("timeout", fail),
    "no listener": (_client, socket) => {
      socket.removeAllListeners("error");
      setTimeout(() => socket.emit("error", new Error("by the test")), 1);
    },
  };
  const provoke: Record<string, (client: WebSocket) => void> = {
    message: (client) => client.send(new Uint8Array(70_000)),
    close: (client) => client.close(),
  };
  const server = await echoing((client, socket, path) =>
    handlers[decodeURIComponent(path.slice(1))]?.(client, socket),
  );
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const open = async (name: string) => {
    const client = new WebSocket(`${url}/${encodeURIComponent(name)}`);
    client.on("error", () => {});
    const closed = new Promise((resolve) => client.once("close", resolve));
    await new Promise((resolve) => client.once("open", resolve).once("close", resolve));
    return { client, closed };
  };
  const { client: quiet } = await open("quiet");
  for (const name of Object.keys(handlers)) {
    log.length = 0;
    const { client, closed } = await open(name);
    provoke[name]?.(client);
    await closed;
    await until("a line", () => log.length > 0);
    assert.is(log[0], "a WebSocket was ended by an error in the gateway: by the test", name);
    const echo = new Promise((resolve) => quiet.once("message", resolve));
    quiet.send(Buffer.from(name));
    assert.is(String(await echo), name);
  }
  quiet.terminate();
  server.close();
});

tests.once("the server's own events: a connection that is none, an error that nobody waits for", async () => {
  const server = await echoing(() => {});
  server.emit("connection", {} as Socket);
  server.emit("clientError", new Error("by the test"), {} as Socket);
  server.emit("error", new Error("by the test"));
  assert.is(log.length, 3);
  assert.match(log[2]!, /^an error in the gateway, at "error": by the test$/);
  const { port } = server.address() as AddressInfo;
  assert.is(statusOf(await exchange(port, ["GET / HTTP/1.1", "Host: localhost", "Connection: close"])), 404);
  server.close();
});

tests.run();
