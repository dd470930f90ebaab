/**
 * What many sessions can take: one budget bounds what all of them keep, and what is of no use to anybody goes back. A login
 * makes no difference to sessions that have begun, and each test takes long: by turns they are without and with one.
 */
import { setMaxListeners } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { connect } from "../../src/node/connect.ts";
import { serve } from "../../src/serve.ts";
import { program, Sandbox, suite, until, within } from "../harness.ts";
import { RawClient } from "../system/raw-client.ts";
import { type GatewayHereOptions, gatewayHere } from "./gateway-here.ts";

const MIB = 1 << 20;
const SESSIONS = 40;
const LENGTH = MIB / 4;
const DEPTH = 4;

interface Context {
  sandbox: Sandbox;
  /** Ends all servers. */
  ending: AbortController;
}

const tests = suite<Context>("memory of many sessions");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.ending = new AbortController();
  setMaxListeners(0, context.ending.signal);
});
tests.after.each(async ({ sandbox, ending }) => {
  ending.abort();
  await sandbox.end();
});

const names = Array.from({ length: SESSIONS }, (_, i) => `c${i}`);

const configurationsOf = (sandbox: Sandbox) =>
  Object.fromEntries(
    names.map((name) => [name, { listen: `unix:${sandbox.path(name)}`, "state-hook": "/nowhere" }]),
  );

/** Serves 64 MiB to each configuration, and has a client at each. */
async function startSessions(
  url: string,
  { sandbox, ending }: Context,
  token?: string,
): Promise<RawClient[]> {
  const target = memoryExport(new Uint8Array(64 * MIB), { readOnly: true });
  const opening = names.map((name) => {
    const link = connect(new URL(name, url.replace("http", "ws")).href, token === undefined ? {} : { token });
    serve(link, target, { signal: ending.signal }).catch(() => {});
    return opened(sandbox.path(name));
  });
  return within(20_000, "all sessions to begin", Promise.all(opening));
}

async function opened(path: string): Promise<RawClient> {
  let client: RawClient | undefined;
  await until(`${path} is there`, async () => {
    client = await RawClient.open(path).catch(() => undefined);
    return client !== undefined;
  });
  return client!;
}

/** Reads the first bytes of the export, some requests ahead. */
async function read(client: RawClient, bytes: number, each: () => void): Promise<void> {
  let asked = 0;
  const ask = () => {
    if (asked < bytes) client.read(0, asked, LENGTH);
    asked += LENGTH;
  };
  for (let i = 0; i < DEPTH; i++) ask();
  for (let got = 0; got < bytes; got += LENGTH) {
    await client.reply(LENGTH);
    each();
    ask();
  }
}

const startGateway = (sandbox: Sandbox, options: GatewayHereOptions) =>
  gatewayHere(sandbox, configurationsOf(sandbox), options);

tests("all that is kept is within the budget; what is idle, or over, keeps nothing", async (context) => {
  const { sandbox, ending } = context;
  const { running } = await startGateway(sandbox, { keys: { "memory-mb": 16 }, idleTime: 400 });
  try {
    const clients = await startSessions(running.url, context);
    let most = 0;
    const note = () => {
      most = Math.max(most, running.kept.used);
    };
    await within(60_000, "40 readers", Promise.all(clients.map((client) => read(client, 4 * MIB, note))));
    assert.ok(most <= 16 * MIB, `${most} bytes were kept`);
    assert.ok(most > 8 * MIB, `of 16 MiB ${most} bytes were of use`);
    await until("the idle ones keep nothing", () => running.kept.used === 0);

    await read(clients[0]!, 4 * MIB, note);
    assert.ok(running.kept.used > 0);
    for (const client of clients) client.close();
    ending.abort();
    await until("what is over keeps nothing", () => running.kept.used === 0);
  } finally {
    await running.close();
  }
});

tests("what one session needs is taken from those that need it no more", async (context) => {
  const keys = { "memory-mb": 24 };
  const options = { keys, idleTime: 3_600_000, hasLogin: true };
  const { running, token } = await startGateway(context.sandbox, options);
  try {
    const clients = await startSessions(running.url, context, token);
    // One request after the other: who has more in flight keeps the link busy itself, and nothing is kept.
    const readSlowly = async (client: RawClient) => {
      for (let at = 0; at < 12 * MIB; at += LENGTH) {
        client.read(0, at, LENGTH);
        await client.reply(LENGTH);
      }
    };
    for (const client of clients.slice(0, 4)) {
      await readSlowly(client);
      assert.ok(running.kept.used >= 10 * MIB && running.kept.used <= 24 * MIB, `${running.kept.used} bytes`);
    }
    for (const client of clients) client.close();
  } finally {
    await running.close();
  }
  assert.is(running.kept.used, 0);
});

const residentMiB = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "ascii"))![1]) / 1024;

tests(
  "40 configurations copied from at once: the gateway's memory is bounded, and comes back",
  async (context) => {
    const { sandbox } = context;
    writeFileSync(sandbox.path("config.json"), JSON.stringify({ configurations: configurationsOf(sandbox) }));
    const args = ["--config", sandbox.path("config.json"), "--port", "0", "--no-auth"];
    const running = sandbox.start(program("nbd-gateway"), args);
    await until("it listens", () => running.stdout.includes("\n"));
    const idle = residentMiB(running.pid);
    const clients = await startSessions(running.stdout.trim(), context);
    let most = 0;
    const looking = setInterval(() => {
      most = Math.max(most, residentMiB(running.pid));
    }, 50);
    try {
      const reading = Promise.all(clients.map((client) => read(client, 32 * MIB, () => {})));
      await within(120_000, "40 readers", reading);
    } finally {
      clearInterval(looking);
    }
    // 96 MiB that are kept, 64 in flight for clients, 1 of a message for each session, and what is garbage by then.
    assert.ok(most < idle + 320, `${most} MiB at most, ${idle} idle`);
    await until("the memory is given back", () => residentMiB(running.pid) < idle + 32, 30_000).catch(
      (error) => {
        throw new Error(`${(error as Error).message}; ${residentMiB(running.pid)} MiB, ${idle} before`);
      },
    );
    for (const client of clients) client.close();
  },
);

tests.run();
