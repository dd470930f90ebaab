import { once } from "node:events";
import { createWriteStream, existsSync, open as openFile, writeFileSync } from "node:fs";
import { connect, Socket } from "node:net";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { promisify } from "node:util";
import * as assert from "uvu/assert";
import { needing, program, type Running, root, Sandbox, suite, until, within } from "../harness.ts";
import { attached, attachedAt, pattern, sha256, startProxy, writeConfig } from "./link.ts";
import { RawClient } from "./raw-client.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("nbd-proxy's standard input and output");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(3_000_003));
});
tests.after.each(({ sandbox }) => sandbox.end());

needing(tests, ["nbdcopy"])("two pipes, and a TCP port that was free", async ({ sandbox, image }) => {
  await sandbox.run("mkfifo", [sandbox.path("forth"), sandbox.path("back")]);
  const config = writeConfig(sandbox, { listen: "tcp:127.0.0.1:0" });
  const serve = `exec "$0" ${program("nbd-serve")} ${image} - <back >forth`;
  const proxyTo = `exec "$0" ${program("nbd-proxy")} --config ${config} >back <forth`;
  const server = sandbox.start("sh", ["-c", serve, process.execPath]);
  const proxy = sandbox.start("sh", ["-c", proxyTo, process.execPath]);
  const port = /^tcp:127\.0\.0\.1:(\d+)$/.exec(await attached(proxy))?.[1];
  assert.ok(Number(port) > 0, "the line says the port");
  const copy = sandbox.path("copy.img");
  await sandbox.run("nbdcopy", [`nbd://127.0.0.1:${port}`, copy]);
  assert.is(await sha256(copy), await sha256(image));
  proxy.kill();
  assert.is(await within(2000, "nbd-proxy", proxy.exit), 0);
  assert.is(await within(2000, "nbd-serve", server.exit), 0);
});

needing(tests, ["socat", "nbdcopy"])("one socket pair for both", async ({ sandbox, image }) => {
  const node = process.execPath;
  const both = sandbox.start("socat", [
    `EXEC:"${node} ${program("nbd-serve")} ${image} -"`,
    `EXEC:"${node} ${program("nbd-proxy")} --config ${writeConfig(sandbox)}"`,
  ]);
  await attached(both);
  const copy = sandbox.path("copy.img");
  await sandbox.run("nbdcopy", [attachedAt(sandbox).uri, copy]);
  assert.is(await sha256(copy), await sha256(image));
});

needing(tests, ["nbdcopy"])(
  "a socket from who says not what it is: no more is outstanding than a relay holds",
  async ({ sandbox, image }) => {
    const socket = sandbox.path("server.sock");
    const server = sandbox.start("node", [join(root, "test/first-generation-server.js"), image, socket]);
    await until("the server listens", () => existsSync(socket));
    const proxy = startProxy(sandbox);
    const link = connect(socket);
    link.pipe(proxy.process.stdin!);
    proxy.process.stdout!.pipe(link);
    await attached(proxy);
    await sandbox.run("nbdcopy", [proxy.uri, sandbox.path("copy.img")]);
    proxy.kill();
    await within(10_000, "nbd-proxy", proxy.exit);
    await within(10_000, "the server", server.exit);
    assert.is((JSON.parse(server.stdout) as { mostOutstanding: number }).mostOutstanding, 4 << 17);
  },
);

for (const redirection of ["</dev/null >/dev/null", "</dev/null >out", "<empty >out", "</dev/null | cat"]) {
  tests(`${redirection}: there is no server, which is one line`, async ({ sandbox }) => {
    writeFileSync(sandbox.path("empty"), "");
    const command = `"$0" ${program("nbd-proxy")} --config ${writeConfig(sandbox)} ${redirection}; exit \${PIPESTATUS[0]}`;
    const running = sandbox.start("bash", ["-c", command, process.execPath]);
    assert.is(await within(10_000, "nbd-proxy", running.exit), 1);
    assert.is(running.stderr, "nbd-proxy: the connection ended before the greeting of an NBD server came\n");
  });
}

tests(
  "a reader that stops does not stop the proxy: new clients are heard, and so is SIGTERM",
  async ({ sandbox }) => {
    const proxy = startProxy(sandbox);
    const { stdin, stdout } = proxy.process;
    stdin!.write("NBDMAGICIHAVEOPT\x00\x02"); // no fixed newstyle: EXPORT_NAME it is
    await within(10_000, "EXPORT_NAME", once(stdout!, "data"));
    const reply = Buffer.alloc(10);
    reply.writeBigUInt64BE(1n << 30n);
    reply.writeUInt16BE(1, 8); // writable
    stdin!.write(reply);
    stdout!.pause();
    await attached(proxy);

    const writer = await RawClient.open(proxy.socket);
    for (let i = 0; i < 64; i++) {
      writer.send(1, i, i << 17, 1 << 17);
      writer.socket.write(Buffer.alloc(1 << 17));
    }
    // Once the pipe is full the client's own socket fills too.
    await until("the writes pile up", () => writer.socket.writableLength > 0);
    const other = await within(2000, "another client", RawClient.open(proxy.socket));
    assert.is(other.size, 1 << 30);

    proxy.kill();
    assert.is(await within(2000, "nbd-proxy", proxy.exit), 0);
    await within(2000, "the writer's end", writer.end());
    assert.not.ok(existsSync(proxy.socket));
  },
);

const open = promisify(openFile);

/** The two ends of a program's standard input and output that the test has. */
interface Wire {
  running: Running;
  forth: Writable;
  back: Readable;
  /** Stops reading, and leaves standard input open. */
  hangUp(): void;
}

/** Starts a program over what Node makes for it, which are sockets. */
function overSockets(sandbox: Sandbox, name: "nbd-proxy" | "nbd-serve", args: string[]): Wire {
  const running = sandbox.start(program(name), args, { wire: true });
  const { stdin: forth, stdout: back } = running.process as { stdin: Writable; stdout: Readable };
  return { running, forth, back, hangUp: () => back.destroy() };
}

/** Starts a program over two pipes, as other servers do. */
async function overPipes(sandbox: Sandbox, name: "nbd-proxy" | "nbd-serve", args: string[]): Promise<Wire> {
  await sandbox.run("mkfifo", [sandbox.path("forth"), sandbox.path("back")]);
  const command = 'exec "$@" <forth >back';
  const running = sandbox.start("sh", ["-c", command, "sh", process.execPath, program(name), ...args]);
  // Each opening waits for the other side's.
  const [to, from] = await Promise.all([open(sandbox.path("forth"), "w"), open(sandbox.path("back"), "r")]);
  const forth = createWriteStream("", { fd: to });
  const back = new Socket({ fd: from, readable: true, writable: false });
  return { running, forth, back, hangUp: () => back.destroy() };
}

for (const [kind, start] of [
  ["sockets", overSockets],
  ["pipes", overPipes],
] as const) {
  tests(
    `${kind}: nbd-proxy ends when nobody reads what it says, though standard input stays open`,
    async ({ sandbox, image }) => {
      const { running, forth, back, hangUp } = await start(sandbox, "nbd-proxy", [
        "--config",
        writeConfig(sandbox),
      ]);
      const server = sandbox.start(program("nbd-serve"), [image, "-"], { wire: true });
      server.process.stdout!.pipe(forth, { end: false });
      back.pipe(server.process.stdin!);
      await attached(running);
      hangUp();
      assert.is(await within(2000, "nbd-proxy", running.exit), 0);
      assert.not.ok(existsSync(attachedAt(sandbox).socket), "its place is free");
      forth.destroy();
    },
  );

  tests(
    `${kind}: nbd-serve ends when nobody reads what it says, though standard input stays open`,
    async ({ sandbox, image }) => {
      const { running, forth, back, hangUp } = await start(sandbox, "nbd-serve", [image, "-"]);
      back.resume();
      // The default export, then a read.
      forth.write(Buffer.from("0000000349484156454f50540000000100000000", "hex"));
      forth.write(Buffer.from("25609513000000000000000000000001000000000000000000000200", "hex"));
      await until("it serves", () => running.stderr.includes("serving"));
      await new Promise((resolve) => setTimeout(resolve, 300));
      hangUp();
      assert.is(await within(2000, "nbd-serve", running.exit), 0);
      forth.destroy();
    },
  );
}

tests.run();
