import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { needing, program, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { attached, connectWires, gone, pattern, startProxy, throughGateway, writeConfig } from "./link.ts";
import { RawClient } from "./raw-client.ts";

interface Context {
  sandbox: Sandbox;
  /** What the hook was run with and has done, a line each. */
  said(): string[];
}

const tests = suite<Context>("the state hook");

tests.before.each((context) => {
  const sandbox = new Sandbox();
  context.sandbox = sandbox;
  const diary = sandbox.path("diary");
  context.said = () => (existsSync(diary) ? readFileSync(diary, "utf8").trim().split("\n") : []);
  writeFileSync(sandbox.path("disk.img"), pattern(100_000));
});
tests.after.each(({ sandbox }) => sandbox.end());

/** Writes the hook: it notes its arguments, then runs the lines. */
function writeHook(sandbox: Sandbox, ...lines: string[]) {
  const script = ["#!/bin/sh", `cd '${sandbox.folder}'`, 'echo "$*" >> diary', ...lines, ""].join("\n");
  writeFileSync(sandbox.path("state"), script, { mode: 0o755 });
}

/** nbd-serve on the wire of nbd-proxy. */
function start({ sandbox }: Context) {
  const proxy = startProxy(sandbox);
  const server = sandbox.start(program("nbd-serve"), [sandbox.path("disk.img"), "-"], { wire: true });
  connectWires(proxy, server);
  return { proxy, server };
}

/** What nbd-proxy has said besides the line that says where the export is. */
function complaints({ stderr }: Running): string[] {
  return stderr.split("\n").filter((line) => line !== "" && !/ bytes, .*, on unix:/.test(line));
}

/** Whether a process runs: one that has ended may still be waited for by whoever has inherited it. */
function isRunning(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  return existsSync(stat) && !/\) Z /.test(readFileSync(stat, "utf8"));
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  needing(tests, ["nbdinfo", "nbdcopy"])(
    `${signal} with a live link: stop runs once, while the export still answers`,
    async (context) => {
      const { sandbox, said } = context;
      const uri = "'nbd+unix:///?socket=nbd.sock'";
      writeHook(
        sandbox,
        `echo "size $(nbdinfo --size ${uri})" >> diary`,
        `nbdcopy ${uri} "$1.img"`,
        "sleep 0.2",
      );
      const { proxy, server } = start(context);
      await attached(proxy);
      assert.equal(said(), ["start local", "size 100000"]);
      proxy.kill(signal);
      // websocketd sends a second signal of another kind.
      setTimeout(() => proxy.kill("SIGTERM"), 100);
      assert.is(await within(20_000, "nbd-proxy", proxy.exit), 0);
      assert.is(await within(2000, "nbd-serve", server.exit), 0);
      assert.equal(said(), ["start local", "size 100000", "stop local", "size 100000"]);
      for (const name of ["start.img", "stop.img"])
        assert.equal(readFileSync(sandbox.path(name)), pattern(100_000));
      assert.not.ok(existsSync(proxy.socket));
      assert.equal(complaints(proxy), []);
    },
  );
}

tests(
  "a dead link: all is over within 700 ms, and a slow stop goes on in its own process session",
  async (context) => {
    const { sandbox, said } = context;
    writeHook(
      sandbox,
      '[ "$1" = start ] && exit',
      // Field 6 of /proc/PID/stat is the process session.
      "echo session $(cut -d' ' -f6 /proc/$$/stat) of $$ >> diary",
      "sleep 1.5",
      "echo stopped >> diary",
    );
    const { proxy, server } = start(context);
    await attached(proxy);
    const client = await RawClient.open(proxy.socket);
    server.kill("SIGKILL");
    await within(700, "the local client", client.end());
    assert.is(await within(700, "nbd-proxy", gone(proxy)), 0);
    assert.not.ok(existsSync(proxy.socket));
    await until("the stop hook has run to its end", () => said().includes("stopped"));
    const [first, second, session, ...rest] = said();
    assert.equal([first, second, ...rest], ["start local", "stop local", "stopped"]);
    assert.match(session!, /^session (\d+) of \1$/);
  },
);

tests("a dead link while start still runs: it is interrupted, and stop runs", async (context) => {
  const { sandbox, said } = context;
  writeHook(sandbox, '[ "$1" = start ] && exec sleep 30', "echo stopped >> diary");
  const { proxy, server } = start(context);
  await until("start runs", () => said().includes("start local"));
  server.kill("SIGKILL");
  await within(2000, "nbd-proxy", gone(proxy));
  await until("the stop hook has run", () => said().includes("stopped"));
  assert.equal(said(), ["start local", "stop local", "stopped"]);
  assert.not.ok(existsSync(proxy.socket));
});

tests("a start that fails ends the session, and stop runs", async (context) => {
  const { sandbox, said } = context;
  writeHook(sandbox, '[ "$1" = stop ] || exit 3');
  const { proxy, server } = start(context);
  assert.is(await within(10_000, "nbd-proxy", proxy.exit), 1);
  assert.is(await within(2000, "nbd-serve", server.exit), 1);
  assert.match(server.stderr, /\nnbd-serve: the other side left without reading; its log says why\n$/);
  assert.is(
    proxy.stderr,
    `nbd-proxy: the state hook ${sandbox.path("state")} start local failed with exit status 3\n`,
  );
  assert.equal(said(), ["start local", "stop local"]);
  assert.not.ok(existsSync(proxy.socket));
});

tests("a start that is killed ends the session, and stop runs", async (context) => {
  const { sandbox, said } = context;
  writeHook(sandbox, '[ "$1" = stop ] || kill -9 $$');
  const { proxy } = start(context);
  assert.is(await within(10_000, "nbd-proxy", proxy.exit), 1);
  assert.is(
    proxy.stderr,
    `nbd-proxy: the state hook ${sandbox.path("state")} start local failed with SIGKILL\n`,
  );
  assert.equal(said(), ["start local", "stop local"]);
});

tests("a stop that fails is said, and is a failure", async (context) => {
  const { sandbox, said } = context;
  writeHook(sandbox, '[ "$1" = start ] || exit 5');
  const { proxy, server } = start(context);
  await attached(proxy);
  proxy.kill();
  assert.is(await within(2000, "nbd-proxy", proxy.exit), 1);
  assert.equal(complaints(proxy), [
    `nbd-proxy: the state hook ${sandbox.path("state")} stop local failed with exit status 5`,
  ]);
  // For the other side all went well.
  assert.is(await within(2000, "nbd-serve", server.exit), 0);
  assert.equal(said(), ["start local", "stop local"]);
});

tests(
  "a stop that hangs is ended after 10 s, with all that it has started, and is a failure",
  async (context) => {
    const { sandbox, said } = context;
    writeHook(sandbox, '[ "$1" = start ] && exit', "sleep 600 & echo $! >> diary", "wait");
    const { proxy } = start(context);
    await attached(proxy);
    proxy.kill();
    assert.is(await within(15_000, "nbd-proxy", proxy.exit), 1);
    assert.equal(complaints(proxy), [
      `nbd-proxy: the state hook ${sandbox.path("state")} stop local failed with SIGTERM: it did not end within 10 s`,
    ]);
    const [, , left] = said();
    await until("what it has started is gone", () => !isRunning(Number(left)));
  },
);

tests("a stop that fails at the end of a gateway is a failure of the gateway", async ({ sandbox, said }) => {
  writeHook(sandbox, '[ "$1" = start ] || exit 5');
  const { gateway, server } = await throughGateway(sandbox, sandbox.path("disk.img"));
  gateway.kill();
  assert.is(await within(5000, "nbd-gateway", gateway.exit), 1);
  assert.match(
    gateway.stderr,
    /nbd-gateway: local: the state hook \S+ stop local failed with exit status 5\nnbd-gateway: local: ended after .*\nnbd-gateway: a session has not ended in order, for the reason above\n$/,
  );
  assert.is(await within(2000, "nbd-serve", server.exit), 0, server.stderr);
  assert.equal(said(), ["start local", "stop local"]);
});

needing(tests, ["setsid"])("a second Ctrl-C does not reach the hook that unmounts", async (context) => {
  const { sandbox, said } = context;
  writeHook(sandbox, '[ "$1" = start ] && exit', "sleep 1", "echo unmounted >> diary");
  // In a process group of its own, as a shell starts it.
  const args = [process.execPath, program("nbd-proxy"), "--config", writeConfig(sandbox)];
  const proxy = sandbox.start("setsid", args, { wire: true });
  connectWires(proxy, sandbox.start(program("nbd-serve"), [sandbox.path("disk.img"), "-"], { wire: true }));
  await attached(proxy);
  process.kill(-proxy.pid, "SIGINT");
  await until("stop runs", () => said().includes("stop local"));
  process.kill(-proxy.pid, "SIGINT");
  assert.is(await within(5000, "nbd-proxy", proxy.exit), 0, proxy.stderr);
  assert.equal(said(), ["start local", "stop local", "unmounted"]);
});

tests("a signal during a slow start waits for it, then stop runs", async (context) => {
  const { sandbox, said } = context;
  writeHook(sandbox, '[ "$1" = stop ] && exit', "sleep 1", "echo started >> diary");
  const { proxy, server } = start(context);
  await until("start runs", () => said().includes("start local"));
  proxy.kill();
  assert.is(await within(5000, "nbd-proxy", proxy.exit), 0);
  assert.is(await within(2000, "nbd-serve", server.exit), 0);
  assert.equal(said(), ["start local", "started", "stop local"]);
});

tests("what the hook prints does not reach the wire, nor does it read from it", async (context) => {
  const { sandbox, said } = context;
  writeHook(
    sandbox,
    "echo this is no NBD",
    "echo in words >&2",
    'echo "read: $(head -c 1 | wc -c)" >> diary',
  );
  const { proxy, server } = start(context);
  await attached(proxy);
  const client = await RawClient.open(proxy.socket);
  client.read(1, 1000, 1000);
  const { data } = await within(2000, "a read", client.reply(1000));
  assert.equal(data, pattern(2000).subarray(1000));
  client.close();
  proxy.kill();
  assert.is(await within(2000, "nbd-proxy", proxy.exit), 0);
  assert.is(await within(2000, "nbd-serve", server.exit), 0);
  assert.equal(said(), ["start local", "read: 0", "stop local", "read: 0"]);
  assert.equal(complaints(proxy), ["in words", "in words"]);
});

const skipped: [string, (path: string) => void][] = [
  ["missing", () => {}],
  [
    "not executable",
    (path) => {
      writeFileSync(path, "#!/bin/sh\nexit 1\n");
      chmodSync(path, 0o644);
    },
  ],
  ["a directory", (path) => mkdirSync(path)],
];

for (const [what, make] of skipped) {
  tests(`a hook that is ${what} is skipped`, async (context) => {
    make(context.sandbox.path("state"));
    const { proxy } = start(context);
    await attached(proxy);
    proxy.kill();
    assert.is(await within(2000, "nbd-proxy", proxy.exit), 0);
    assert.equal(complaints(proxy), []);
  });
}

tests("a hook that cannot be run ends the session, and there is no stop", async (context) => {
  const hook = context.sandbox.path("state");
  writeFileSync(hook, "#!/nowhere/sh\n", { mode: 0o755 });
  const { proxy } = start(context);
  assert.is(await within(10_000, "nbd-proxy", proxy.exit), 1);
  assert.is(
    proxy.stderr,
    `nbd-proxy: the state hook ${hook} start local did not run: its interpreter is missing\n`,
  );
});

tests("each configuration of a gateway has its own start and stop", async ({ sandbox, said }) => {
  writeHook(sandbox);
  const entry = (name: string) => ({
    listen: `unix:${sandbox.path(`${name}.sock`)}`,
    "state-hook": sandbox.path("state"),
  });
  writeFileSync(
    sandbox.path("config.json"),
    JSON.stringify({ configurations: { a: entry("a"), b: entry("b") } }),
  );
  const gateway = sandbox.start(program("nbd-gateway"), [
    "--config",
    "config.json",
    "--port",
    "0",
    "--no-auth",
  ]);
  await until("nbd-gateway listens", () => gateway.stdout.includes("\n"));
  const url = gateway.stdout.trim().replace(/^http/, "ws");
  const servers = ["a", "b"].map((name) =>
    sandbox.start(program("nbd-serve"), [sandbox.path("disk.img"), url + name]),
  );
  await until(
    "both are attached",
    () => (gateway.stderr.match(/ bytes, read-only, on /g) ?? []).length === 2,
  );
  assert.equal(said().sort(), ["start a", "start b"]);
  servers[0]!.kill();
  await until("a has stopped", () => said().length === 3);
  gateway.kill();
  assert.is(await within(5000, "nbd-gateway", gateway.exit), 0);
  assert.equal(said().slice(2), ["stop a", "stop b"]);
});

tests.run();
