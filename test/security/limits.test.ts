/** The gateway's limits: each has a key, and an answer in words. */
import { once } from "node:events";
import { createConnection } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { Sandbox, until, within } from "../harness.ts";
import { exchange, statusOf, upgrade } from "../node/raw-http.ts";
import { eachWay, type Way } from "./each-way.ts";
import { type GatewayHere, gatewayHere } from "./gateway-here.ts";
import { linesOf } from "./login-here.ts";

interface Context extends GatewayHere, Way {
  sandbox: Sandbox;
}

const tests = eachWay<Context>("limits");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(async ({ sandbox, running }) => {
  await running.close();
  await sandbox.end();
});

async function start(context: Context, keys: object) {
  const configurations = { local: { listen: `unix:${context.sandbox.path("nbd.sock")}` } };
  const { sandbox, hasLogin } = context;
  Object.assign(context, await gatewayHere(sandbox, configurations, { keys, hasLogin }));
}

/** The lines with which those who may come begin a request. */
const beginning = ({ port, headers }: Context, path: string) => [
  `GET ${path} HTTP/1.1`,
  `Host: 127.0.0.1:${port}`,
  ...linesOf(headers),
];

const get = (context: Context, ...headers: string[]) =>
  exchange(context.port, [...beginning(context, "/metadata"), "Connection: close", ...headers]);

async function open({ port, headers }: Context): Promise<WebSocket> {
  const client = new WebSocket(`ws://127.0.0.1:${port}/local`, { headers });
  await once(client, "open");
  return client;
}

tests(
  "max-websockets: one more is told, others than WebSockets get in, and one that leaves makes room",
  async (context) => {
    await start(context, { "max-websockets": 1 });
    const { port, log } = context;
    const first = await open(context);
    const head = [...beginning(context, "/local"), ...upgrade];
    const answer = await exchange(port, head);
    assert.match(answer, /^HTTP\/1\.1 503 .*\r\n\r\nthere are too many WebSockets$/s);
    assert.match(log.at(-1)!, /there are 1 WebSockets, which is the limit \("max-websockets"\)/);
    assert.is(statusOf(await get(context)), 200);
    first.terminate();
    await until("there is room", async () => statusOf(await exchange(port, head)) === 101);
  },
);

tests("max-headers: a request with more is refused, and none of them is overlooked", async (context) => {
  await start(context, { "max-headers": 16 });
  const more = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: y`);
  const room = 16 - beginning(context, "/").length; // the first line is no header, and Connection is one
  assert.is(statusOf(await get(context, ...more(room))), 200);
  const answer = await get(context, ...more(room + 1));
  assert.match(answer, /^HTTP\/1\.1 431 .*\r\n\r\nthe request has more than 16 headers\n$/s);
  assert.is(statusOf(await get(context, ...more(500), "Host: evil.example")), 431);
  const head = [...beginning(context, "/local"), ...upgrade, ...more(20)];
  assert.is(statusOf(await exchange(context.port, head)), 431);
});

tests("max-header-kb: longer ones are refused", async (context) => {
  await start(context, { "max-header-kb": 1 });
  assert.is(statusOf(await get(context, `X: ${"y".repeat(500)}`)), 200);
  const answer = await get(context, `X: ${"y".repeat(1500)}`);
  assert.match(answer, /^HTTP\/1\.1 431 .*\r\n\r\nthe headers of the request are too long$/s);
  assert.match(context.log.at(-1)!, /"max-header-kb"/);
});

tests("handshake-timeout: a request that takes longer is told so", async (context) => {
  await start(context, { "handshake-timeout": 1 });
  const socket = createConnection(context.port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.write("GET / HTTP/1.1\r\n");
  await within(6000, "the end", once(socket, "close"));
  assert.match(text, /^HTTP\/1\.1 408 .*\r\n\r\nthe request took too long$/s);
  assert.match(context.log.at(-1)!, /"handshake-timeout"/);
});

tests("idle-timeout: a connection is kept for so long, and WebSockets are not concerned", async (context) => {
  await start(context, { "idle-timeout": 1 });
  const client = await open(context);
  const began = performance.now();
  const answer = exchange(context.port, beginning(context, "/metadata"));
  assert.is(statusOf(await within(4500, "the end", answer)), 200);
  assert.ok(performance.now() - began > 900);
  assert.is(client.readyState, WebSocket.OPEN);
  client.terminate();
});

tests("max-frame-mb: a longer frame is refused at its header", async (context) => {
  await start(context, { "max-frame-mb": 2 });
  for (const [length, code] of [
    [2 ** 21 + 65, 1009],
    [2 ** 21 + 64, 4000], // what is in it is not NBD
  ]) {
    const client = await open(context);
    client.send(new Uint8Array(length!));
    const [closed] = await within(10_000, "the end", once(client, "close"));
    assert.is(closed, code, String(length));
  }
});

tests.run();
