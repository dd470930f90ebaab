/** What local clients can take: how many there are, what each holds, and whether other machines are among them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { ConfigError, chooseConfiguration, parseConfig } from "../../src/node/config/config.ts";
import { listen } from "../../src/node/session/listen.ts";
import { type Running, Sandbox, suite, until, within } from "../harness.ts";
import { RawClient } from "../system/raw-client.ts";
import type { Report } from "./listening-process.ts";

const MIB = 1 << 20;
const MAX_CLIENTS = 64;

/** The bytes in flight that all clients of a process have together, and beyond that those who hold nothing. */
const BUDGET = 128 * MIB;
/** What is assured to each of a listener's clients, a quarter of a MiB, and what it may hold besides: most of that is not used. */
const EACH = MIB / 2;

const tests = suite<{ sandbox: Sandbox; path: string; clients: RawClient[] }>("hostile local clients");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.path = context.sandbox.path("nbd.sock");
  context.clients = [];
});
tests.after.each(async ({ sandbox, clients }) => {
  for (const client of clients) client.close();
  await sandbox.end();
});

const script = fileURLToPath(new URL("listening-process.ts", import.meta.url));
const command = ["--expose-gc", "--import", import.meta.resolve("tsx"), script];

async function startListening(sandbox: Sandbox, path: string): Promise<Running> {
  const running = sandbox.start(process.execPath, [...command, path], { wire: true });
  running.process.stdout!.on("data", (chunk) => {
    running.stdout += chunk;
  });
  await until("it listens", () => running.stdout !== "");
  return running;
}

async function reportOf(running: Running): Promise<Report> {
  running.stdout = "";
  running.process.stdin!.write("\n");
  await until("the report", () => running.stdout.endsWith("\n"));
  return JSON.parse(running.stdout) as Report;
}

/** Clients that chose the export; those that were hung up on before are left out. */
async function come(path: string, count: number): Promise<RawClient[]> {
  const coming = Array.from({ length: count }, () => RawClient.open(path).catch(() => undefined));
  return (await within(20_000, "to be served, or hung up on", Promise.all(coming))).filter(
    (client) => client !== undefined,
  );
}

tests("clients beyond the limit cost a line of the log, not one each", async ({ path, clients }) => {
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const listener = await listen(memoryExport(new Uint8Array(512)), `unix:${path}`, { maxClients: 1, log });
  try {
    clients.push(await RawClient.open(path));
    for (let i = 0; i < 30; i++) assert.equal(await come(path, 1), []);
    assert.equal(lines, ["hung up on a further client: 1 are connected, which is the limit (max-clients)"]);
  } finally {
    for (const client of clients) client.close();
    await listener.close();
  }
  assert.is(lines.at(-1), "hung up on 29 more");
});

tests("of 1,000 clients 64 are served, and hold what is stated", async ({ sandbox, path, clients }) => {
  const listening = await startListening(sandbox, path);
  const before = await reportOf(listening);
  for (let i = 0; i < 20; i++) {
    const served = await come(path, 50);
    clients.push(...served);
    for (const client of served) {
      client.socket.pause();
      for (let n = 0; n < 2; n++) client.read(n, 0, MIB / 4);
    }
  }
  assert.is(clients.length, MAX_CLIENTS);
  await until("they hold what they can", async () => (await reportOf(listening)).inFlight > 8 * MIB);
  const { inFlight, memory, lines } = await reportOf(listening);
  assert.ok(inFlight <= MAX_CLIENTS * (MIB / 2), `${inFlight} bytes in flight`);
  const growth = memory - before.memory;
  assert.ok(growth <= inFlight + MAX_CLIENTS * EACH, `${growth} bytes for ${inFlight} in flight`);
  assert.is(lines[0], "hung up on a further client: 64 are connected, which is the limit (max-clients)");
});

tests("64 clients that ask for all they can and read nothing hold what is stated", async (context) => {
  const { sandbox, path, clients } = context;
  const listening = await startListening(sandbox, path);
  const before = await reportOf(listening);
  clients.push(...(await come(path, MAX_CLIENTS)));
  assert.is(clients.length, MAX_CLIENTS);
  for (const client of clients) {
    client.socket.pause();
    for (let n = 0; n < 200; n++) client.read(n, 0, 2 * MIB);
  }
  await until(
    "they hold what they can",
    async () => (await reportOf(listening)).inFlight >= BUDGET - 4 * MIB,
  );
  const { inFlight, memory } = await reportOf(listening);
  assert.ok(inFlight <= BUDGET + MAX_CLIENTS * (MIB / 4), `${inFlight} bytes in flight`);
  const growth = memory - before.memory;
  assert.ok(growth <= inFlight + MAX_CLIENTS * EACH, `${growth} bytes for ${inFlight} in flight`);
  for (const client of clients) client.close();
  await until("all of it is given back", async () => (await reportOf(listening)).inFlight === 0);
});

tests(
  "a client that chooses no export, and reads nothing, holds little",
  async ({ sandbox, path, clients }) => {
    const listening = await startListening(sandbox, path);
    const before = await reportOf(listening);
    const unknown = Buffer.alloc(16);
    unknown.write("IHAVEOPT", "latin1");
    unknown.writeUInt32BE(99, 8);
    const flood = Buffer.concat([Buffer.of(0, 0, 0, 3), ...Array<Buffer>(1 << 16).fill(unknown)]);
    for (let i = 0; i < MAX_CLIENTS; i++) {
      const client = new RawClient(path);
      clients.push(client);
      await client.take(18);
      client.socket.pause();
      client.socket.write(flood);
    }
    let last = -1;
    await until("they hold what they can", async () => {
      const { memory } = await reportOf(listening);
      const isAll = Math.abs(memory - last) < MIB / 4;
      last = memory;
      return isAll;
    });
    const growth = last - before.memory;
    assert.ok(growth <= MAX_CLIENTS * EACH, `${growth} bytes`);
  },
);

tests("when one leaves another may come, and nobody comes beyond that", async ({ path, clients }) => {
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const listener = await listen(memoryExport(new Uint8Array(512)), { path }, { maxClients: 2, log });
  try {
    clients.push(...(await come(path, 2)));
    assert.is(clients.length, 2);
    assert.is((await come(path, 1)).length, 0);
    assert.is(lines.length, 1);
    clients[0]!.close();
    await until("another is served", async () => {
      const served = await come(path, 1);
      clients.push(...served);
      return served.length === 1;
    });
    assert.is((await come(path, 1)).length, 0);
    // Those who were there have noticed nothing.
    clients[1]!.read(1, 0, 512);
    assert.is((await clients[1]!.reply(512)).error, 0);
  } finally {
    await listener.close();
  }
});

tests("who is connected and says nothing counts too", async ({ path, clients }) => {
  const options = { maxClients: 1, handshakeTime: 300 };
  const listener = await listen(memoryExport(new Uint8Array(512)), { path }, options);
  try {
    const silent = new RawClient(path);
    clients.push(silent);
    await silent.take(18);
    assert.is((await come(path, 1)).length, 0);
    await within(10_000, "to be hung up on", silent.end());
    await until("another is served", async () => {
      const served = await come(path, 1);
      clients.push(...served);
      return served.length === 1;
    });
  } finally {
    await listener.close();
  }
});

tests("a socket that listens already has the same limit", async ({ clients }) => {
  const server: Server & { _handle?: { fd: number } } = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const child = spawn(process.execPath, command, { stdio: ["pipe", "pipe", "inherit", server._handle!.fd] });
  server.close();
  try {
    await within(20_000, "to listen", once(child.stdout!, "data"));
    // As Node has it, what is a number is a port.
    clients.push(...(await come(String(port), 80)));
    assert.is(clients.length, MAX_CLIENTS);
  } finally {
    child.kill();
    await once(child, "exit");
  }
});

const parse = (listen: string, keys: object = {}, topKeys: object = {}) =>
  chooseConfiguration(
    parseConfig("config.json", JSON.stringify({ ...topKeys, configurations: { a: { listen, ...keys } } })),
  );

for (const host of [
  "0.0.0.0",
  "[::]",
  "192.0.2.1",
  "disk.example",
  "localhost.example",
  "127.example",
  "2130706433",
]) {
  const listen = `tcp:${host}:10809`;
  tests(`${listen} has to be allowed`, () => {
    try {
      parse(listen);
    } catch (error) {
      assert.instance(error, ConfigError);
      assert.is(
        (error as Error).message,
        `config.json: configuration "a": "listen": other machines can reach ${listen}, and NBD has no login: ` +
          'anybody who reaches the port can use the disk; "insecure": true allows that',
      );
      assert.ok("listen" in parse(listen, { insecure: true }).target);
      assert.ok("listen" in parse(listen, {}, { insecure: true }).target);
      assert.throws(() => parse(listen, { insecure: false }, { insecure: true }), /"insecure": true/);
      return;
    }
    assert.unreachable("it was allowed");
  });
}

for (const listen of [
  "tcp:127.0.0.1:1",
  "tcp:127.1.2.3:1",
  "tcp:[::1]:1",
  "tcp:localhost:1",
  "unix:/run/nbd.sock",
]) {
  tests(`${listen} is this machine`, () => assert.ok("listen" in parse(listen).target));
}

tests.run();
