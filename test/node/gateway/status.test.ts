/** What a gateway tells of its disks, in every state of a session; and that it tells nothing that is none of their business. */
import { existsSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import type { ConfigurationStatus, StatusDocument } from "../../../src/node/gateway/status/document.ts";
import {
  connectExport,
  join,
  memoryExport,
  nbdServer,
  parseConfig,
  webSocket,
} from "../../../src/node/index.ts";
import { Sandbox, suite, until, within } from "../../harness.ts";
import { type GatewayHere, type GatewayHereOptions, gatewayHere } from "../../security/gateway-here.ts";
import { EventReader } from "./event-reader.ts";
import { checkConfiguration, checkStatus } from "./status-schema.ts";

interface Context {
  sandbox: Sandbox;
  here: GatewayHere;
  events: EventReader;
}

const tests = suite<Context>("what a gateway tells of its disks");

/** A name with a path of the other machine, and what could turn a terminal's text round. */
const NAME = "/home/somebody/secret\u202e/boot\u001b[31m.iso";

const socketOf = ({ sandbox }: Context) => sandbox.path("disk.sock");

/** A hook that waits until it may go on. */
function writeHook({ sandbox }: Context): string {
  const hook = sandbox.path("hook");
  const may = sandbox.path("may");
  writeFileSync(hook, `#!/bin/sh\nwhile [ ! -e "${may}-$1" ]; do sleep 0.02; done\n`, { mode: 0o700 });
  return hook;
}

const allow = ({ sandbox }: Context, what: "start" | "stop") =>
  writeFileSync(sandbox.path(`may-${what}`), "");

async function start(context: Context, keys: object = {}, options: GatewayHereOptions = {}): Promise<void> {
  const configurations = {
    disk: { listen: `unix:${socketOf(context)}`, default: true, ...keys },
    other: { listen: "tcp:127.0.0.1:0" },
    cd: { "nbd-device": "/dev/nbd7" },
  };
  context.here = await gatewayHere(context.sandbox, configurations, { hasLogin: true, ...options });
  context.events = await EventReader.open(context.here.running.url, context.here.headers);
}

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});

tests.after.each(async (context) => {
  for (const one of ["start", "stop"] as const) allow(context, one);
  await context.events.close();
  await context.here.running.close();
  await context.sandbox.end();
});

interface ServeOptions {
  readOnly?: boolean;
  takesOver?: boolean;
}

/** Serves an image of 1 MiB, which can only be read unless the options say otherwise. */
function serve(
  { here }: Context,
  image = new Uint8Array(1 << 20),
  name = NAME,
  { readOnly = true, takesOver = false }: ServeOptions = {},
): WebSocket {
  const headers = { ...here.headers, ...(takesOver && { "nbd-take-over": "1" }) };
  const socket = new WebSocket(`${here.running.url.replace("http", "ws")}disk`, { headers });
  socket.on("error", () => {});
  const server = nbdServer(memoryExport(image, { readOnly }), { name });
  join(webSocket(socket), server).catch(() => {});
  return socket;
}

async function text({ here }: Context, door: "status" | "metrics"): Promise<string> {
  const response = await fetch(new URL(door, here.running.url), { headers: here.headers });
  assert.is(response.status, 200);
  return response.text();
}

async function status(context: Context): Promise<StatusDocument> {
  const document = JSON.parse(await text(context, "status"));
  checkStatus(document);
  return document;
}

const diskOf = async (context: Context) => (await status(context)).configurations[0]!;

/** Waits for a state, and returns the status. */
async function inState(context: Context, state: ConfigurationStatus["state"]): Promise<ConfigurationStatus> {
  let disk = await diskOf(context);
  await until(`it is ${state}`, async () => {
    disk = await diskOf(context);
    return disk.state === state;
  });
  return disk;
}

async function readSome(context: Context, length: number): Promise<void> {
  const disk = await connectExport(`nbd+unix:///?socket=${socketOf(context)}`);
  await disk.read(0, length);
  await disk.close();
}

/** Reads, and writes as much. */
async function useSome(context: Context, length: number): Promise<void> {
  const disk = await connectExport(`nbd+unix:///?socket=${socketOf(context)}`);
  await disk.write!(length, await disk.read(0, length));
  await disk.close();
}

tests(
  "from free to free again, each state is told as the schema says, by /status and by /events",
  async (context) => {
    await start(context, { "state-hook": writeHook(context), resume: 60, "resume-foreign": true });
    const free = await diskOf(context);
    assert.equal([free.state, free.session, free.where, free.isDefault], ["free", null, "unix socket", true]);

    const first = serve(context);
    const connecting = await inState(context, "connecting");
    assert.match(connecting.session!.id, /^[0-9a-f]{8}$/);
    allow(context, "start");
    const { session } = await inState(context, "attached");
    assert.equal(session!.medium, { name: "boot [31m.iso", size: 1 << 20, isWritable: false });
    assert.is(session!.peer.address, "127.0.0.1");
    await readSome(context, 4096);
    const read = (await diskOf(context)).session!;
    assert.is(read.requests.read!.count, 1);
    assert.is(read.requests.read!.bytes, 4096);
    assert.ok(read.requests.read!.latency.median! > 0);
    assert.ok(read.link.received > 4096, `${read.link.received} bytes came`);
    assert.ok(read.link.sent > 28, `${read.link.sent} bytes went`);

    first.terminate();
    const waiting = (await inState(context, "waiting")).session!;
    assert.ok(Date.parse(waiting.waitingUntil!) > Date.now());
    assert.is(waiting.link.losses, 1);
    assert.is(waiting.id, session!.id);
    serve(context);
    const resumed = (await inState(context, "attached")).session!;
    assert.equal([resumed.waitingUntil, resumed.id, resumed.link.losses], [null, session!.id, 1]);
    assert.ok(resumed.link.received > read.link.received, "the new link's bytes are added");

    const { url } = context.here.running;
    const ejected = fetch(new URL("eject/disk", url), { method: "POST", headers: context.here.headers });
    await inState(context, "ending");
    allow(context, "stop");
    assert.is((await ejected).status, 204);
    const last = await inState(context, "free");
    assert.equal([last.session, last.lastError], [null, null]);

    const { events } = context;
    const states = ["free", "connecting", "attached", "waiting", "attached", "ending", "free"];
    await until("all of it was told", () => events.statesOf("disk").length === states.length);
    assert.equal(events.statesOf("disk"), states);
    assert.is(events.events[0]!.name, "status");
    for (const { name, data } of events.events) (name === "status" ? checkStatus : checkConfiguration)(data);
  },
);

tests("where each disk will be is told, by its device or its address", async (context) => {
  await start(context);
  const { configurations } = await status(context);
  const places = configurations.map(({ name, where }) => [name, where]);
  assert.equal(places, [
    ["disk", "unix socket"],
    ["other", "tcp:127.0.0.1:0"],
    ["cd", "/dev/nbd7"],
  ]);
});

tests("what a session failed with is told in words, until a disk is there again", async (context) => {
  await start(context);
  const first = serve(context);
  await inState(context, "attached");
  first.close(4000, "the disk is broken");
  const failed = await inState(context, "free");
  assert.match(failed.lastError!.words, /the disk is broken/);
  const metrics = await text(context, "metrics");
  assert.match(metrics, /^nbd_configuration_failed\{configuration="disk"\} 1$/m);
  assert.match(metrics, /^nbd_sessions_failed_total\{configuration="disk"\} 1$/m);
  serve(context);
  assert.is((await inState(context, "attached")).lastError, null);
  assert.match(await text(context, "metrics"), /^nbd_configuration_failed\{configuration="disk"\} 0$/m);
});

tests(
  "a place that is not there is a failure of its configuration, told without its path",
  async (context) => {
    await start(context);
    const socket = new WebSocket(`${context.here.running.url.replace("http", "ws")}cd`, {
      headers: context.here.headers,
    });
    socket.on("error", () => {});
    const server = nbdServer(memoryExport(new Uint8Array(512)));
    join(webSocket(socket), server).catch(() => {});
    const cd = async () => (await status(context)).configurations.find(({ name }) => name === "cd")!;
    await until("it has failed", async () => (await cd()).lastError !== null);
    assert.match((await cd()).lastError!.words, /no place for the disk/);
    const other = { disk: { listen: `unix:${socketOf(context)}` }, cd: { "nbd-device": "/dev/nbd8" } };
    const text = JSON.stringify({ "state-hook": "/nowhere", configurations: other });
    context.here.running.reload(parseConfig(context.sandbox.path("config.json"), text));
    assert.is((await cd()).lastError, null, "it is another configuration now");
  },
);

tests("no path and no secret of either machine is in any of them", async (context) => {
  const hook = writeHook(context);
  allow(context, "start");
  allow(context, "stop");
  await start(context, { "state-hook": hook, resume: 60, "resume-foreign": true });
  const all: string[] = [];
  const look = async () => {
    all.push(await text(context, "status"), await text(context, "metrics"));
  };
  await look();
  const served = serve(context);
  await inState(context, "attached");
  await readSome(context, 512);
  await look();
  served.terminate();
  await inState(context, "waiting");
  await look();
  const again = serve(context);
  await inState(context, "attached");
  // A server that fails tells of its own paths.
  again.close(4000, 'the file "/home/somebody else/secret disks/boot.iso" is gone; C:\\Users\\somebody');
  const failed = await inState(context, "free");
  assert.match(failed.lastError!.words, /the file/, "the words themselves are told");
  await look();
  await until("the events are as far", () => context.events.statesOf("disk").at(-1) === "free");
  all.push(JSON.stringify(context.events.events));
  const { here, sandbox } = context;
  assert.ok(here.token);
  for (const secret of [
    here.token!,
    sandbox.folder,
    hook,
    "somebody",
    "else",
    "disks",
    "config.json",
    ".sock",
    "\u202e",
  ]) {
    for (const one of all) assert.not.ok(one.includes(secret), `${secret} is in ${one}`);
  }
});

tests(
  "counters never go back, over sessions too, and their labels are none that a peer can choose",
  async (context) => {
    await start(context, { resume: 60, "resume-foreign": true, "take-over-interval": 0 });
    const counters = async () => {
      const samples = (await text(context, "metrics")).matchAll(
        /^(\w+(?:_total|_bucket|_sum|_count)\S*) (\S+)$/gm,
      );
      return new Map(Array.from(samples, ([, name, value]) => [name!, Number(value)]));
    };
    let before = await counters();
    const value = (name: string, more = "") => before.get(`${name}{configuration="disk"${more}}`)!;
    const growing = async () => {
      const now = await counters();
      for (const [name, value] of before)
        assert.ok(now.get(name)! >= value, `${name}: ${now.get(name)} < ${value}`);
      before = now;
      assert.not.match(await text(context, "metrics"), /name-/);
    };
    const image = new Uint8Array(1 << 20);
    for (let session = 1; session <= 3; session++) {
      const first = serve(context, image, `name-${session}`);
      await inState(context, "attached");
      await readSome(context, 4096);
      await growing();
      first.terminate();
      await inState(context, "waiting");
      await growing();
      const second = serve(context, image, `name-${session}`);
      await inState(context, "attached");
      await readSome(context, 4096);
      await growing();
      const last = serve(context, image, `last-name-${session}`, { readOnly: false, takesOver: true });
      await until("it is taken over", async () => {
        const { medium } = (await diskOf(context)).session ?? {};
        return medium?.name.startsWith("last") ?? false;
      });
      await inState(context, "attached");
      await useSome(context, 4096);
      await growing();
      last.close(1000);
      await inState(context, "free");
      await growing();
      second.terminate();
      assert.is(value("nbd_requests_total", ',command="read"'), 3 * session);
      assert.is(value("nbd_requests_total", ',command="write"'), session);
      assert.is(value("nbd_request_duration_seconds_count", ',command="read"'), 3 * session);
      assert.is(value("nbd_sessions_total"), 2 * session);
      assert.is(value("nbd_link_losses_total"), session);
      assert.ok(value("nbd_link_received_bytes_total") > session * 4096);
      assert.ok(value("nbd_link_sent_bytes_total") > session * 4096);
    }
  },
);

tests("an eject whose state hook fails is not said to be in order", async (context) => {
  const hook = context.sandbox.path("hook");
  writeFileSync(hook, '#!/bin/sh\n[ "$1" = start ]\n', { mode: 0o700 });
  await start(context, { "state-hook": hook });
  const { here } = context;
  serve(context);
  await inState(context, "attached");
  const eject = new URL("eject/disk", here.running.url);
  const answer = await fetch(eject, { method: "POST", headers: here.headers });
  assert.is(answer.status, 500);
  assert.match(await answer.text(), /^it has ended, but not in order: .*log of this machine says why\n$/);
  assert.ok((await inState(context, "free")).lastError);
  await until("how it has ended is told", () => /disk: ejected after \d+ s, /.test(here.log.join("\n")));
});

tests("events end with their login, and with the gateway", async (context) => {
  await start(context);
  const { here, events } = context;
  const login = await fetch(new URL("login", here.running.url), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token: here.token }),
  });
  const headers = { Authorization: `Bearer ${((await login.json()) as { session: string }).session}` };
  const ofLogin = await EventReader.open(here.running.url, headers);
  assert.is(ofLogin.response.status, 200);
  await fetch(new URL("logout", here.running.url), {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json" },
    body: "{}",
  });
  await within(5000, "the end with the login", ofLogin.ended);
  await until("others go on", () => events.events.length > 0);
  const open = Symbol("open");
  assert.is(await Promise.race([events.ended, Promise.resolve(open)]), open);
  await here.running.close();
  await within(5000, "the end with the gateway", events.ended);
});

tests("more readers of events than there may be are refused, and the others go on", async (context) => {
  await start(context, {}, { keys: { "max-event-listeners": 2 } });
  const { here } = context;
  const second = await EventReader.open(here.running.url, here.headers);
  const third = await EventReader.open(here.running.url, here.headers);
  assert.is(third.response.status, 503);
  assert.is(third.response.headers.get("retry-after"), "10");
  await second.close();
  await until("there is room again", async () => {
    const next = await EventReader.open(here.running.url, here.headers);
    await next.close();
    return next.response.status === 200;
  });
  await third.close();
});

tests("figures are told while they change, without a change of state", async (context) => {
  await start(context);
  serve(context);
  await inState(context, "attached");
  await readSome(context, 4096);
  await until("the read is told", () =>
    context.events.events.some(
      ({ name, data }) => name === "configuration" && data.session?.requests.read?.count === 1,
    ),
  );
  assert.ok(existsSync(socketOf(context)));
});

tests(
  "a configuration that was read again is told at once; of what has left it a session stays until its end",
  async (context) => {
    await start(context);
    const { events, here, sandbox } = context;
    const socket = serve(context);
    await inState(context, "attached");
    for (const none of [undefined, null, "config.json"])
      assert.throws(
        () => here.running.reload(none as never),
        /config is not an object|config must be an object/,
      );
    const file = { new: { "nbd-device": "/dev/nbd8" }, other: { "nbd-device": "/dev/nbd9", default: true } };
    here.running.reload(
      parseConfig(
        sandbox.path("config.json"),
        JSON.stringify({ "state-hook": "/nowhere", configurations: file }),
      ),
    );
    const renewed = [
      ["new", "free", "/dev/nbd8", false],
      ["other", "free", "/dev/nbd9", true],
    ];
    const told = ({ configurations }: StatusDocument) =>
      configurations.map(({ name, state, where, isDefault }) => [name, state, where, isDefault]);
    const withSession = [...renewed, ["disk", "attached", "unix socket", false]];
    assert.equal(told(await status(context)), withSession);
    /** What a reader of events knows by now: the last whole document, with what has followed it. */
    const known = () => {
      const configurations = new Map<string, ConfigurationStatus>();
      for (const event of events.events) {
        if (event.name === "status") configurations.clear();
        const { data } = event;
        for (const one of "configurations" in data ? data.configurations : [data])
          configurations.set(one.name, one);
      }
      return told({ configurations: [...configurations.values()] } as unknown as StatusDocument);
    };
    await until("it is told", () => JSON.stringify(known()) === JSON.stringify(withSession));

    socket.close();
    await until("it is gone", () => JSON.stringify(known()) === JSON.stringify(renewed));
    assert.equal(told(await status(context)), renewed);
  },
);

tests.run();
