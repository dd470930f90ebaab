/** What nbd-gateway tells a service manager. */
import { once } from "node:events";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { needing, program, Sandbox, suite, until, within } from "../../harness.ts";
import { startGateway, throughGateway, writeConfig } from "../link.ts";
import { Notified } from "./notify-socket.ts";

interface Context {
  sandbox: Sandbox;
}

const tests = suite<Context>("what a service manager is told");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

const withPython = needing(tests, ["nbdsh"]);

for (const kind of ["a path", "an abstract name"] as const) {
  withPython(`on ${kind}: ready, reloading and ready again, stopping`, async ({ sandbox }) => {
    const name = kind === "a path" ? sandbox.path("notify") : `@nbd-proxy-test-${process.pid}`;
    const manager = await Notified.start(sandbox, name);
    const gateway = await startGateway(sandbox, {}, { env: { NOTIFY_SOCKET: name } });
    await until("it is ready", () => manager.states.length === 1);
    assert.equal(manager.states, ["READY=1 STATUS"]);
    assert.is(manager.status, `at ${gateway.url.replace("ws", "http")}`);

    const before = process.hrtime.bigint() / 1000n;
    gateway.kill("SIGHUP");
    await until("it is ready again", () => manager.states.length === 3);
    assert.equal(manager.states.slice(1), ["RELOADING=1 MONOTONIC_USEC", "READY=1 STATUS"]);
    const reloading = manager.messages.find(({ assignments }) => assignments[0] === "RELOADING=1")!;
    const told = Number(reloading.assignments[1]!.slice("MONOTONIC_USEC=".length));
    assert.ok(told >= Number(before) && told <= reloading.at, "when it was told, by the manager's clock");

    gateway.kill();
    assert.is(await within(5000, "nbd-gateway", gateway.exit), 0);
    await until("it stops", () => manager.states.length === 4);
    assert.is(manager.states[3], "STOPPING=1 STATUS");
    assert.is(gateway.stderr.includes("service manager"), false);
  });
}

withPython("signs of life come as long as the event loop turns, and no longer", async ({ sandbox }) => {
  const manager = await Notified.start(sandbox, sandbox.path("notify"));
  const env = { NOTIFY_SOCKET: manager.name, WATCHDOG_USEC: "100000" };
  const gateway = await startGateway(sandbox, {}, { env });
  await until("signs of life", () => manager.signsOfLife > 4);
  gateway.kill("SIGSTOP");
  await until("it has stopped", () =>
    /^State:\s+T/m.test(readFileSync(`/proc/${gateway.pid}/status`, "ascii")),
  );
  // What it had sent is there by the time that a message of our own is.
  const seen = async () => {
    const count = manager.messages.length;
    const env = { NOTIFY_SOCKET: manager.name };
    const script = `import os, socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"X=1", os.environ["NOTIFY_SOCKET"])`;
    await sandbox.run("/usr/bin/python3", ["-c", script], { env });
    await until("our own message", () => manager.messages.length > count);
    return manager.signsOfLife;
  };
  const stopped = await seen();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.is(await seen(), stopped);
  gateway.kill("SIGCONT");
  await until("signs of life again", () => manager.signsOfLife > stopped);
});

withPython("a watchdog of another process is none of ours", async ({ sandbox }) => {
  const manager = await Notified.start(sandbox, sandbox.path("notify"));
  const env = { NOTIFY_SOCKET: manager.name, WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" };
  const gateway = await startGateway(sandbox, {}, { env });
  await until("it is ready", () => manager.states.length === 1);
  gateway.kill();
  await within(5000, "nbd-gateway", gateway.exit);
  await until("it stops", () => manager.states.length === 2);
  assert.is(manager.signsOfLife, 0);
});

for (const [what, name, words] of [
  ["is gone", "nowhere", /telling the service manager at .*nowhere: sendto failed: ENOENT/],
  ["is none", "vsock:2:1", /NOTIFY_SOCKET is "vsock:2:1": it is neither a path nor @NAME/],
] as const) {
  tests(`a socket that ${what}: one line, and the gateway serves`, async ({ sandbox }) => {
    const env = { NOTIFY_SOCKET: name === "nowhere" ? sandbox.path(name) : name, WATCHDOG_USEC: "20000" };
    const gateway = await startGateway(sandbox, {}, { env });
    await until("the line", () => words.test(gateway.stderr));
    gateway.kill("SIGHUP");
    await until("it has read its configuration", () => gateway.stderr.includes("again"));
    gateway.kill();
    assert.is(await within(5000, "nbd-gateway", gateway.exit), 0);
    assert.is(gateway.stderr.match(/service manager/g)?.length, 1);
  });
}

needing(tests, ["nbdsh"])(
  "a hook knows nothing of the manager, and has no descriptor of ours",
  async ({ sandbox }) => {
    const manager = await Notified.start(sandbox, sandbox.path("notify"));
    const hook = sandbox.path("state");
    writeFileSync(hook, `#!/bin/sh\n{ env; ls -l /proc/self/fd; } > ${sandbox.path("seen")}.$1\n`);
    chmodSync(hook, 0o755);
    const image = sandbox.path("disk.img");
    writeFileSync(image, Buffer.alloc(1 << 20));
    const env = { NOTIFY_SOCKET: manager.name, WATCHDOG_USEC: "1000000" };
    await throughGateway(sandbox, image, { env, keys: { "state-hook": hook } });
    await until("the hook has run", () => {
      try {
        return readFileSync(sandbox.path("seen.start"), "utf8").includes("/fd");
      } catch {
        return false;
      }
    });
    const seen = readFileSync(sandbox.path("seen.start"), "utf8");
    assert.not.match(seen, /NOTIFY_SOCKET|WATCHDOG|LISTEN_| ([3-9]|\d\d) -> socket:/);
  },
);

needing(tests, ["script"])("at a terminal SIGHUP ends the gateway in order", async ({ sandbox }) => {
  const command = [process.execPath, program("nbd-gateway"), "--config", writeConfig(sandbox), "--port", "0"];
  const line = `echo $$ > ${sandbox.path("pid")}; exec ${command.join(" ")} --no-auth`;
  const terminal = sandbox.start("script", ["-qefc", line, "/dev/null"], { env: { TERM: "dumb" } });
  await until("it listens", () => terminal.stdout.includes("http://"));
  process.kill(Number(readFileSync(sandbox.path("pid"), "ascii")), "SIGHUP");
  assert.equal(await within(10_000, "its end", once(terminal.process, "exit")), [0, null]);
});

tests.run();
