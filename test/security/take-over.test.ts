/** A configuration that is in use: who comes is told, waits for one that does not answer, or takes it over. */
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import {
  type Export,
  join,
  memoryExport,
  nbdClient,
  nbdServer,
  socketTransport,
  webSocket,
} from "../../src/node/index.ts";
import { Sandbox, until, within } from "../harness.ts";
import { eachWay, type Way } from "./each-way.ts";
import { type GatewayHere, gatewayHere } from "./gateway-here.ts";

interface Context extends GatewayHere, Way {
  sandbox: Sandbox;
  /** Where the export is once it is there. */
  path: string;
}

const tests = eachWay<Context>("taking over");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.path = context.sandbox.path("nbd.sock");
});
tests.after.each(async ({ sandbox, running }) => {
  await running.close();
  await sandbox.end();
});

/** Starts a gateway with one configuration, whose state hook writes down what it is told. */
async function start(context: Context, keys: object = {}): Promise<void> {
  const { sandbox, path, hasLogin } = context;
  const hook = sandbox.path("hook");
  writeFileSync(hook, `#!/bin/sh\necho "$1" >> ${hook}.log\n`);
  chmodSync(hook, 0o700);
  const local = { listen: `unix:${path}`, "state-hook": hook, ...keys };
  Object.assign(context, await gatewayHere(sandbox, { local }, { hasLogin }));
}

const hookCalls = ({ sandbox }: Context) => {
  const file = `${sandbox.path("hook")}.log`;
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
};

interface ServeOptions {
  target?: Export;
  name?: string;
  headers?: Record<string, string>;
  protocols?: string[];
}

const TAKE_OVER = { "Nbd-Take-Over": "1" };

/** A server that connects to a gateway. */
function serve({ port, headers: login }: Context, options: ServeOptions = {}) {
  const { target = image("a"), name = "boot.iso", headers = {}, protocols = [] } = options;
  const socket = new WebSocket(`ws://127.0.0.1:${port}/local`, protocols, {
    headers: { ...login, ...headers },
  });
  const closed = new Promise<[number, string]>((resolve) =>
    socket.once("close", (code, reason) => resolve([code, String(reason)])),
  );
  const ended = join(webSocket(socket), nbdServer(target, { name }));
  ended.catch(() => {});
  return { socket, closed, stop: () => socket.close(1000) };
}

/** An export all of whose bytes are this letter. */
const image = (letter: string, size = 4096) =>
  memoryExport(new Uint8Array(size).fill(letter.charCodeAt(0)), { readOnly: true });

/** The first byte of the export that is there now, as a letter. */
async function letter({ path }: Context): Promise<string> {
  const remote = await nbdClient(socketTransport(connect({ path, allowHalfOpen: true })));
  const [byte] = await remote.read(0, 1);
  await remote.close();
  return String.fromCharCode(byte!);
}

const isAttached =
  ({ log }: Context, times: number) =>
  () =>
    log.filter((line) => / bytes, (writable|read-only), on /.test(line)).length === times;

tests("the first is ended in order and told by whom, and the second is served", async (context) => {
  await start(context);
  const first = serve(context);
  await until("the first is served", isAttached(context, 1));
  const second = serve(context, { target: image("b"), headers: TAKE_OVER });
  assert.equal(await within(5000, "the first's end", first.closed), [4001, "taken over by 127.0.0.1"]);
  await until("the second is served", isAttached(context, 2));
  assert.is(await letter(context), "b");
  assert.equal(hookCalls(context), ["start", "stop", "start"]);
  assert.match(context.log.join("\n"), /^local: taken over by 127\.0\.0\.1 after \d+ s, /m);

  const third = serve(context, { headers: TAKE_OVER });
  const [code, words] = await within(5000, "the refusal of the third", third.closed);
  assert.is(code, 4002);
  assert.match(words, /^this configuration was taken over \d+ s ago; it can be again in \d+ s$/);
  assert.is(await letter(context), "b");
  second.stop();
  await second.closed;
  await until("all is over", () => hookCalls(context).length === 4);
});

tests("it can be asked for with a subprotocol, which is not echoed", async (context) => {
  await start(context);
  const first = serve(context);
  await until("the first is served", isAttached(context, 1));
  const second = serve(context, { target: image("b"), protocols: ["nbd", "take-over"] });
  assert.equal(await within(5000, "the first's end", first.closed), [4001, "taken over by 127.0.0.1"]);
  await until("the second is served", isAttached(context, 2));
  assert.is(second.socket.protocol, "nbd");
});

tests("what was written last is flushed to the first before it is told", async (context) => {
  await start(context);
  const events: string[] = [];
  const memory = memoryExport(new Uint8Array(4096));
  const first = serve(context, {
    target: {
      ...memory,
      async write(offset, data, options) {
        await memory.write!(offset, data, options);
        events.push("write");
      },
      async flush() {
        events.push("flush");
      },
    },
  });
  first.closed.then(() => events.push("closed"));
  await until("the first is served", isAttached(context, 1));
  const remote = await nbdClient(socketTransport(connect({ path: context.path, allowHalfOpen: true })));
  await remote.write!(0, Uint8Array.of(1));
  serve(context, { headers: TAKE_OVER });
  await within(5000, "the first's end", first.closed);
  await until("the second is served", isAttached(context, 2));
  assert.equal(events, ["write", "flush", "closed"]);
  await remote.close();
});

tests("where it is forbidden the newcomer is told, and the first goes on", async (context) => {
  await start(context, { "take-over": false });
  serve(context);
  await until("the first is served", isAttached(context, 1));
  const second = serve(context, { headers: TAKE_OVER });
  const words = "this configuration cannot be taken over: its session has to end first";
  assert.equal(await within(5000, "the refusal", second.closed), [4000, words]);
  assert.is(await letter(context), "a");
});

tests("who asks for a place that is free just gets it", async (context) => {
  await start(context);
  serve(context, { headers: TAKE_OVER });
  await until("it is served", isAttached(context, 1));
});

tests.once(
  "one that does not answer gives way within 5 s to a newcomer that does not even ask",
  async (context) => {
    await start(context);
    const first = serve(context);
    await until("the first is served", isAttached(context, 1));
    first.socket.pause();
    const began = performance.now();
    const second = serve(context, { target: image("b") });
    await until("the second is served", isAttached(context, 2), 8000);
    assert.ok(performance.now() - began > 4000, "it had its time");
    assert.is(await letter(context), "b");
    assert.ok(context.log.includes("local: the other side does not answer any more"), context.log.join("\n"));
    first.socket.terminate();
    second.stop();
  },
);

/** Processes that were started by this one. */
const children = () =>
  readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/stat`, "utf8").includes(`) `)
        ? Number(/\) \S (\d+) /.exec(readFileSync(`/proc/${name}/stat`, "utf8"))?.[1]) === process.pid
        : false;
    } catch {
      return false; // it has gone
    }
  }).length;

const descriptors = () => readdirSync("/proc/self/fd").length;

tests(
  "10 rapid takeovers: each is ended whole before the next, and nothing is left behind",
  async (context) => {
    await start(context, { "take-over-interval": 0 });
    const before = [children(), descriptors()] as const;
    const servers = [serve(context)];
    const sizeOf = (i: number) => 8192 + 512 * i;
    const isServed = (i: number) => () => context.log.some((line) => line.includes(`${sizeOf(i)} bytes, `));
    await until("the first is served", isAttached(context, 1));
    for (let i = 0; i < 10; i++) {
      servers.push(serve(context, { target: image(String(i), sizeOf(i)), headers: TAKE_OVER }));
      // Some come before the one before them is served.
      if (i % 3 === 0) await until("it greets", () => servers.at(-1)!.socket.readyState === WebSocket.OPEN);
    }
    const last = servers.pop()!;
    const ends = await within(
      30_000,
      "the end of the others",
      Promise.all(servers.map(({ closed }) => closed)),
    );
    assert.equal(new Set(ends.map(String)), new Set(["4001,taken over by 127.0.0.1"]));
    await until("the last is served", isServed(9));
    assert.is(await letter(context), "9");
    last.stop();
    await last.closed;
    await until("its socket is gone", () => !existsSync(context.path));
    await until("its hook has run", () => hookCalls(context).length % 2 === 0);
    const calls = hookCalls(context);
    assert.equal(
      calls,
      calls.map((_, i) => (i % 2 === 0 ? "start" : "stop")),
    );
    await until("no process is left", () => children() <= before[0]);
    await until("no descriptor is left", () => descriptors() <= before[1]);
    assert.equal(readdirSync(context.sandbox.folder).sort(), ["hook", "hook.log"]);
  },
);

tests("a takeover during the first's handshake ends that", async (context) => {
  await start(context);
  const first = new WebSocket(`ws://127.0.0.1:${context.port}/local`, { headers: context.headers });
  const heard: unknown[] = [];
  first.on("message", (bytes) => heard.push(bytes));
  const closed = new Promise<[number, string]>((resolve) =>
    first.once("close", (code, reason) => resolve([code, String(reason)])),
  );
  first.once("open", () => first.send(Buffer.from("4e42444d4147494349484156454f50540000", "hex")));
  // Its flags come before it has the place; what export is wanted comes after that.
  await until("it has the place", () => heard.length > 1);
  serve(context, { headers: TAKE_OVER });
  assert.equal(await within(5000, "the first's end", closed), [4001, "taken over by 127.0.0.1"]);
  await until("the second is served", isAttached(context, 1));
});

tests("read-only: whatever the other side allows, it is never written to", async (context) => {
  await start(context, { "read-only": true });
  let changes = 0;
  const memory = memoryExport(new Uint8Array(4096));
  const change = async () => void changes++;
  const target = { ...memory, write: change, trim: change, writeZeroes: change, flush: change };
  const server = serve(context, { target });
  await until("it is served", isAttached(context, 1));
  assert.match(context.log.join("\n"), /4096 bytes, read-only, on /);
  const remote = await nbdClient(socketTransport(connect({ path: context.path, allowHalfOpen: true })));
  for (const method of ["write", "trim", "writeZeroes"] as const) assert.is(remote[method], undefined);
  await remote.close();
  await context.running.close();
  await server.closed;
  assert.is(changes, 0);
});

tests.run();
