/** What a newcomer is told of the session that has a configuration, where it may know. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { type AddressInfo, createConnection } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { UnflushedMemory } from "../../../src/export/resume/unflushed-memory.ts";
import { LimitedLog } from "../../../src/node/gateway/limited-log.ts";
import { Sessions } from "../../../src/node/gateway/sessions.ts";
import { Board } from "../../../src/node/gateway/status/board.ts";
import {
  join,
  memoryExport,
  nbdClient,
  nbdServer,
  parseConfig,
  socketTransport,
  webSocket,
} from "../../../src/node/index.ts";
import { processBudget } from "../../../src/node/session/listen.ts";
import { MemoryBudget } from "../../../src/streams/memory-budget.ts";
import { Sandbox, suite, until, within } from "../../harness.ts";

interface Context {
  sandbox: Sandbox;
  ending: AbortController;
  sessions: Sessions;
  server: WebSocketServer;
}

const tests = suite<Context>("sessions");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.ending = new AbortController();
});
tests.after.each(async ({ sandbox, ending, sessions, server }) => {
  ending.abort();
  await sessions.over();
  server.close();
  await sandbox.end();
});

async function start(context: Context, tellsWho: boolean, timeout = 30) {
  const listen = `unix:${context.sandbox.path("nbd.sock")}`;
  const text = JSON.stringify({ "state-hook": "/nowhere", configurations: { local: { listen, timeout } } });
  context.sessions = new Sessions({
    config: parseConfig("config.json", text),
    budget: processBudget(),
    memory: new MemoryBudget(0),
    unflushed: new UnflushedMemory(),
    pingInterval: 10_000,
    tellsWho,
    signal: context.ending.signal,
    log: new LimitedLog(() => {}),
    board: new Board(),
  });
  context.server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(context.server, "listening");
  const address = "10.9.0.2";
  context.server.on("connection", (client, { socket }) =>
    context.sessions.start(client, socket, { path: "/local", address, takesOver: false }),
  );
}

function serve({ server }: Context, name: string) {
  const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  join(webSocket(socket), nbdServer(memoryExport(new Uint8Array(512)), { name })).catch(() => {});
  const told = new Promise<string>((resolve) => socket.once("close", (_, reason) => resolve(String(reason))));
  return { socket, told };
}

for (const [tellsWho, words] of [
  [true, /^in use since \d\d:\d\d by boot\.iso from 10\.9\.0\.2$/],
  [false, /^this configuration is in use by another session$/],
] as const) {
  const who = tellsWho
    ? "who has logged in is told who has a configuration"
    : "others are told nothing of it";
  tests(who, async (context) => {
    await start(context, tellsWho);
    serve(context, "boot.iso");
    await until("the first is served", () => existsSync(context.sandbox.path("nbd.sock")));
    const second = serve(context, "other.iso");
    assert.match(await within(5000, "the refusal", second.told), words);
  });
}

tests("a side that does not answer is told by the close code that it may come back", async (context) => {
  await start(context, false, 0.1);
  const { port } = context.server.address() as AddressInfo;
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  const silent = { size: 512, read: () => new Promise<never>(() => {}), close: async () => {} };
  join(webSocket(socket), nbdServer(silent)).catch(() => {});
  const code = new Promise((resolve) => socket.once("close", resolve));
  const path = context.sandbox.path("nbd.sock");
  await until("the disk is there", () => existsSync(path));
  const remote = await nbdClient(socketTransport(createConnection({ path, allowHalfOpen: true })));
  remote.read(0, 512).catch(() => {});
  assert.is(await within(5000, "the end of the link", code), 4004);
});

tests("sessions leave no listener on the gateway's signal", async (context) => {
  const { signal } = context.ending;
  let listeners = 0;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  await start(context, false);
  for (let i = 0; i < 3; i++) {
    const one = serve(context, "");
    await until("it is served", () => existsSync(context.sandbox.path("nbd.sock")));
    assert.is(listeners, 1);
    one.socket.close(1000);
    await one.told;
    await until("it is over", () => listeners === 0);
  }
});

tests.run();
