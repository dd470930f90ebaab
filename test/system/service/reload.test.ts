/** SIGHUP: config.json is read again, under load. */
import { existsSync, renameSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import type { StatusDocument } from "../../../src/node/gateway/status/document.ts";
import {
  needing,
  program,
  type Running,
  type RunOptions,
  Sandbox,
  suite,
  until,
  within,
} from "../../harness.ts";
import { pattern, sha256 } from "../link.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("config.json is read again at SIGHUP");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(8 << 20));
});
tests.after.each(({ sandbox }) => sandbox.end());

/** Writes config.json, whole at once. */
function write(sandbox: Sandbox, configurations: Record<string, object> | string, keys: object = {}): void {
  const text =
    typeof configurations === "string"
      ? configurations
      : JSON.stringify({ "state-hook": "/nowhere", ...keys, configurations });
  writeFileSync(sandbox.path("config.json.new"), text);
  renameSync(sandbox.path("config.json.new"), sandbox.path("config.json"));
}

const at = (sandbox: Sandbox, name: string) => ({ listen: `unix:${sandbox.path(`${name}.sock`)}` });
const uriOf = (sandbox: Sandbox, name: string) => `nbd+unix:///?socket=${sandbox.path(`${name}.sock`)}`;

async function start(sandbox: Sandbox): Promise<{ gateway: Running; url: string }> {
  const words = ["--config", sandbox.path("config.json"), "--port", "0", "--no-auth"];
  const gateway = sandbox.start(program("nbd-gateway"), words);
  await until("it listens", () => gateway.stdout.includes("\n") && gateway.stderr.includes("will be at"));
  return { gateway, url: gateway.stdout.trim() };
}

/** Sends SIGHUP, and returns the line about it. */
async function reload(gateway: Running): Promise<string> {
  const lines = () => gateway.stderr.split("\n").slice(0, -1);
  const before = lines().length;
  const isIt = (line: string) => /again: |all stays as it was/.test(line);
  gateway.kill("SIGHUP");
  await until("the line", () => lines().slice(before).some(isIt));
  return lines().slice(before).find(isIt)!;
}

const wsOf = (url: string, name = "") => `${url.replace("http", "ws")}${name}`;

/** nbd-serve, once it is attached at a socket. */
async function serve(
  { sandbox, image }: Pick<Context, "sandbox" | "image">,
  url: string,
  socket: string,
  options?: RunOptions,
): Promise<Running> {
  const server = sandbox.start(program("nbd-serve"), [image, url], options);
  await until("the disk", () => {
    if (server.process.exitCode !== null) throw new Error(server.stderr);
    return existsSync(sandbox.path(`${socket}.sock`));
  });
  return server;
}

async function end(server: Running): Promise<void> {
  server.kill();
  assert.is(await within(5000, "nbd-serve", server.exit), 0);
}

async function offered(url: string): Promise<string[]> {
  return Object.keys((await (await fetch(`${url}metadata`)).json()) as object);
}

needing(tests, ["nbdcopy"])(
  "under load: sessions go on with what they began with, and what follows them has the new one",
  async (context) => {
    const { sandbox, image } = context;
    write(sandbox, { changed: at(sandbox, "a"), removed: at(sandbox, "b"), same: at(sandbox, "c") });
    const { gateway, url } = await start(sandbox);
    const servers = {
      changed: await serve(context, wsOf(url, "changed"), "a"),
      removed: await serve(context, wsOf(url, "removed"), "b"),
      same: await serve(context, wsOf(url, "same"), "c"),
    };
    let isOver = false;
    const digest = await sha256(image);
    const loads = ["a", "b", "c"].map(async (name) => {
      let copies = 0;
      while (!isOver || copies === 0) {
        const copy = sandbox.path(`${name}.copy`);
        await sandbox.run("nbdcopy", [uriOf(sandbox, name), copy]);
        assert.is(await sha256(copy), digest);
        copies++;
      }
    });
    for (const load of loads) load.catch(() => {}); // what it throws is seen below

    write(sandbox, { changed: at(sandbox, "new"), same: at(sandbox, "c"), added: at(sandbox, "d") });
    const line = await reload(gateway);
    assert.match(line, /config\.json again: new "added"; changed "changed"; removed "removed"$/);
    await until("the places are told", () =>
      /changed: its disk will be at unix:\S*new\.sock\n/.test(gateway.stderr),
    );
    assert.match(gateway.stderr, /again: .*\n[^\n]*added: its disk will be at unix:\S*d\.sock\n/);
    assert.is(
      gateway.stderr.match(/same: its disk will be at /g)?.length,
      1,
      "what is the same is not told again",
    );
    assert.equal(await offered(url), ["changed", "same", "added"]);
    const known = (await (await fetch(`${url}status`)).json()) as StatusDocument;
    assert.equal(
      known.configurations.map(({ name, state }) => [name, state]),
      [
        ["changed", "attached"],
        ["same", "attached"],
        ["added", "free"],
        ["removed", "attached"],
      ],
    );
    const added = await serve(context, wsOf(url, "added"), "d");

    // A link that is lost is taken up again, though the configuration is gone.
    servers.removed.kill("SIGKILL");
    await until("it waits", () => gateway.stderr.includes("removed: the link is lost"));
    const again = sandbox.start(program("nbd-serve"), [image, wsOf(url, "removed")]);
    await until("it is back", () => gateway.stderr.includes("removed: the link is back"));
    await sandbox.run("nbdcopy", [uriOf(sandbox, "b"), sandbox.path("copy")]);

    isOver = true;
    await Promise.all(loads);
    await end(again);
    await until("the socket is gone", () => !existsSync(sandbox.path("b.sock")));
    const late = sandbox.start(program("nbd-serve"), [image, wsOf(url, "removed")]);
    assert.is(await within(10_000, "nbd-serve", late.exit), 1);
    assert.match(late.stderr, /there is no such configuration/);

    await end(servers.changed);
    await until("the socket is gone", () => !existsSync(sandbox.path("a.sock")));
    const next = await serve(context, wsOf(url, "changed"), "new");
    assert.not.ok(existsSync(sandbox.path("a.sock")));
    for (const server of [next, servers.same, added]) await end(server);
    gateway.kill();
    assert.is(await within(5000, "nbd-gateway", gateway.exit), 0);
  },
);

for (const [what, text, words] of [
  ["that is not JSON", "{", /config\.json is not JSON: .*; all stays as it was$/],
  ["without configurations", '{ "configurations": {} }', /"configurations" is empty; all stays as it was$/],
  [
    "with a fault in one configuration",
    '{ "configurations": { "other": { "listen": "unix:x.sock" }, "one": {} } }',
    /configuration "one" has neither "nbd-device" nor "listen".*; all stays as it was$/,
  ],
] as const) {
  tests(`a file ${what} changes nothing, and says so in one line`, async ({ sandbox }) => {
    write(sandbox, { one: at(sandbox, "one") });
    const { gateway, url } = await start(sandbox);
    const before = gateway.stderr.split("\n").length;
    write(sandbox, text);
    assert.match(await reload(gateway), words);
    assert.is(gateway.stderr.split("\n").length, before + 1);
    assert.equal(await offered(url), ["one"]);
    write(sandbox, { one: at(sandbox, "one"), two: at(sandbox, "two") });
    assert.match(await reload(gateway), /again: new "two"; from now on: default$/);
    assert.equal(await offered(url), ["one", "two"]);
  });
}

tests("what has an effect at the next start only is named", async ({ sandbox }) => {
  write(sandbox, { one: at(sandbox, "one") });
  const { gateway } = await start(sandbox);
  assert.match(await reload(gateway), /again: nothing is different$/);
  write(sandbox, { one: at(sandbox, "one") }, { port: 1, "memory-mb": 17, "max-headers": 50 });
  assert.match(
    await reload(gateway),
    /again: at the next start: port, memory-mb, the limits of connections$/,
  );
});

tests("a session that came to the default goes on when another one is the default", async (context) => {
  const { sandbox, image } = context;
  write(sandbox, { one: { ...at(sandbox, "one"), default: true }, two: at(sandbox, "two") });
  const { gateway, url } = await start(sandbox);
  const server = await serve(context, wsOf(url), "one");
  write(sandbox, { one: at(sandbox, "one"), two: { ...at(sandbox, "two"), default: true } });
  assert.match(await reload(gateway), /again: from now on: default$/);
  server.kill("SIGKILL");
  await within(5000, "nbd-serve", server.exit);
  const again = sandbox.start(program("nbd-serve"), [image, wsOf(url)]);
  await until("it is back", () => gateway.stderr.includes("one: the link is back"));
  assert.ok(existsSync(sandbox.path("one.sock")));
  assert.not.ok(existsSync(sandbox.path("two.sock")), "it is the same session");
  await end(again);
  await until("the socket is gone", () => !existsSync(sandbox.path("one.sock")));
  await end(await serve(context, wsOf(url), "two"));
});

for (const isAnother of [false, true]) {
  const what = isAnother
    ? "one with another medium, that takes over, ends the session whose key it has, and no other"
    : "each goes on when its link was lost";
  tests(`of two sessions that came to the default, one after the other, ${what}`, async (context) => {
    const { sandbox } = context;
    const keys = { resume: 60, "take-over-interval": 0 };
    const [one, two] = [
      { ...at(sandbox, "one"), ...keys },
      { ...at(sandbox, "two"), ...keys },
    ];
    write(sandbox, { one: { ...one, default: true }, two });
    const { gateway, url } = await start(sandbox);
    const image = (name: string) => sandbox.path(`${name}.img`);
    // As on two machines.
    const itsOwn = (name: string) => ({ env: { STATE_DIRECTORY: sandbox.path(`${name}-state`) } });
    const served = async (name: string) => {
      writeFileSync(image(name), pattern(1 << 20));
      return serve({ sandbox, image: image(name) }, wsOf(url), name, itsOwn(name));
    };
    const servers: [string, Running][] = [["one", await served("one")]];
    write(sandbox, { one, two: { ...two, default: true } });
    await reload(gateway);
    servers.push(["two", await served("two")]);

    for (const [name, server] of servers) {
      server.kill("SIGKILL");
      await until("it waits", () => gateway.stderr.includes(`${name}: the link is lost`));
      if (isAnother) writeFileSync(image(name), pattern(2 << 20));
      const options = isAnother ? ["--take-over"] : [];
      const words = [...options, image(name), wsOf(url)];
      const again = sandbox.start(program("nbd-serve"), words, itsOwn(name));
      const outcome = isAnother ? `${name}: 2097152 bytes` : `${name}: the link is back`;
      await until(outcome, () => {
        if (again.process.exitCode !== null) throw new Error(again.stderr);
        return gateway.stderr.includes(outcome);
      });
    }
    assert.is(gateway.stderr.match(/it has 2097152 bytes, not 1048576/g)?.length ?? 0, isAnother ? 2 : 0);
    assert.is(gateway.stderr.match(/: taken over by /g)?.length ?? 0, isAnother ? 2 : 0);
  });
}

tests.run();
