/** nbd-gateway on sockets that systemd has made. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { needing, program, type Running, Sandbox, suite, until, within } from "../../harness.ts";
import { freePort } from "../../websocketd.ts";
import { pattern, sha256 } from "../link.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("nbd-gateway on sockets that it was started with");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(1 << 20));
});
tests.after.each(({ sandbox }) => sandbox.end());

/** The command line of a gateway without a login, with such a configuration. */
function command(sandbox: Sandbox, local: Record<string, unknown>, ...options: string[]): string[] {
  const config = { "state-hook": "/nowhere", configurations: { local } };
  writeFileSync(sandbox.path("config.json"), JSON.stringify(config));
  return [process.execPath, program("nbd-gateway"), "--config", sandbox.path("config.json"), ...options];
}

const unused = { listen: "unix:unused.sock" };

/** A gateway under systemd's own program for that, which starts it when somebody connects; `names` are of the addresses. */
async function activate(
  { sandbox }: Context,
  addresses: readonly string[],
  names: string,
  words: readonly string[],
): Promise<Running> {
  const listening = addresses.flatMap((address) => ["--listen", address]);
  const environment = ["TMPDIR", "STATE_DIRECTORY"].flatMap((name) => ["--setenv", name]);
  const running = sandbox.start("systemd-socket-activate", [
    ...listening,
    `--fdname=${names}`,
    ...environment,
    ...words,
  ]);
  await until("it listens", () => running.stderr.split("Listening on").length > addresses.length);
  return running;
}

/** Connects once, so that the gateway is started. */
function knock(port: number): void {
  const socket = connect(port, "127.0.0.1", () => socket.destroy());
  socket.on("error", () => {});
}

const withSystemd = needing(tests, ["systemd-socket-activate"]);

needing(tests, ["systemd-socket-activate", "nbdcopy", "nbdinfo"])(
  "two for HTTP and one for local clients: all are served, and the last one outlives each session",
  async (context) => {
    const { sandbox, image } = context;
    const ports = [await freePort(), await freePort()] as const;
    const path = sandbox.path("given.sock");
    const addresses = [...ports.map((port) => `127.0.0.1:${port}`), path];
    const words = command(sandbox, unused, "--no-auth");
    const running = await activate(context, addresses, "http:http:local", words);
    const uri = `nbd+unix:///?socket=${path}`;
    for (const port of [...ports, ports[0]]) {
      const server = sandbox.start(program("nbd-serve"), [image, `ws://127.0.0.1:${port}/local`]);
      await until("it serves", () => server.stderr.includes("serving"));
      // Until the session is attached, whoever connects is hung up on.
      await until("the disk is there", async () => {
        const info = sandbox.start("nbdinfo", ["--size", uri]);
        return (await info.exit) === 0;
      });
      await sandbox.run("nbdcopy", [uri, sandbox.path("copy")]);
      assert.is(await sha256(sandbox.path("copy")), await sha256(image));
      server.kill();
      assert.is(await within(5000, "nbd-serve", server.exit), 0);
      const closed = new Promise<string>((resolve) => {
        const client = connect(path);
        client.on("error", (error) => resolve(error.message));
        client.on("data", () => resolve("it is greeted"));
        client.on("close", () => resolve("it is hung up on"));
      });
      assert.is(await within(5000, "a client without a disk", closed), "it is hung up on");
    }
    assert.match(running.stdout, new RegExp(`^http://127\\.0\\.0\\.1:${ports[0]}/\n$`));
    assert.match(running.stderr, new RegExp(`read-only, on unix:${path}\n`));
    running.kill();
    assert.is(await within(5000, "nbd-gateway", running.exit), 0);
  },
);

withSystemd("one beyond loopback is judged as --host is", async (context) => {
  const port = await freePort();
  const running = await activate(context, [`0.0.0.0:${port}`], "http", command(context.sandbox, unused));
  knock(port);
  assert.is(await within(10_000, "nbd-gateway", running.exit), 1);
  assert.match(running.stderr, /nbd-gateway: listening on 0\.0\.0\.0 is refused: beyond loopback/);
});

withSystemd("one for local clients beyond loopback needs insecure", async (context) => {
  const port = await freePort();
  const words = command(context.sandbox, unused);
  const running = await activate(context, [`0.0.0.0:${port}`], "local", words);
  knock(port);
  assert.is(await within(10_000, "nbd-gateway", running.exit), 1);
  assert.match(running.stderr, /configuration "local": "listen": other machines can reach tcp:0\.0\.0\.0:/);
});

withSystemd("a name that nothing has is told", async (context) => {
  const port = await freePort();
  const words = command(context.sandbox, unused);
  const running = await activate(context, [`127.0.0.1:${port}`], "nbd-gateway.socket", words);
  knock(port);
  assert.is(await within(10_000, "nbd-gateway", running.exit), 1);
  assert.match(
    running.stderr,
    /a socket is called "nbd-gateway\.socket", neither "http" nor a configuration of /,
  );
});

withSystemd("one for a configuration with a kernel device is refused", async (context) => {
  const port = await freePort();
  const words = command(context.sandbox, { "nbd-device": "/dev/nbd0" });
  const running = await activate(context, [`127.0.0.1:${port}`], "local", words);
  knock(port);
  assert.is(await within(10_000, "nbd-gateway", running.exit), 1);
  assert.match(running.stderr, /configuration "local" has "nbd-device", and the socket/);
});

/** A gateway with two unix sockets of a mode, which have names. */
function withUnixSockets(
  { sandbox }: Context,
  mode: string,
  names: string,
  words: readonly string[],
): Running {
  mkdirSync(sandbox.path("sockets"));
  chmodSync(sandbox.path("sockets"), 0o755);
  const script = fileURLToPath(new URL("../activated.py", import.meta.url));
  return sandbox.start("python3", [script, sandbox.path("sockets"), "2", "sockets", ...words], {
    env: { MODE: mode, NAMES: names },
  });
}

const behind = ["--behind-proxy", "unix:/nowhere/http.sock"];

for (const [what, mode, names, options, words] of [
  [
    "of everybody for local clients",
    "0666",
    "http:local",
    behind,
    /"local": every user may connect to .*1\.sock; SocketMode=0660/,
  ],
  [
    "of everybody for proxies",
    "0666",
    "http:http",
    behind,
    /listening on unix:.*0\.sock is refused: every user may connect/,
  ],
  [
    "for HTTP without a proxy",
    "0660",
    "http:http",
    [],
    /0\.sock is refused: on a unix socket proxies connect/,
  ],
  ["of one name", "0660", "local:local", behind, /two sockets are called "local"/],
  ["without names", "0660", "http", behind, /LISTEN_FDNAMES has 1 names for 2 sockets/],
] as const) {
  needing(tests, ["nbdsh"])(`unix sockets ${what}: one line, and exit status 1`, async (context) => {
    const running = withUnixSockets(context, mode, names, command(context.sandbox, unused, ...options));
    assert.is(await within(10_000, "nbd-gateway", running.exit), 1);
    assert.match(running.stderr, words);
    assert.is(running.stderr.split("\n").length, 2);
  });
}

needing(tests, ["nbdsh"])("what is no socket is told", async (context) => {
  const { sandbox } = context;
  const script = fileURLToPath(new URL("../activated.py", import.meta.url));
  const words = command(sandbox, unused);
  const running = sandbox.start("python3", [script, sandbox.folder, "2", "files", ...words], {
    env: { NAMES: "http:local" },
  });
  assert.is(await within(10_000, "nbd-gateway", running.exit), 1);
  assert.is(
    running.stderr,
    'nbd-gateway: descriptor 3, called "http", is no listening socket: it is no socket\n',
  );
});

needing(tests, ["nbdsh"])(
  "proxies connect to a unix socket of theirs, and it stays when the gateway ends",
  async (context) => {
    const words = command(context.sandbox, unused, ...behind);
    const running = withUnixSockets(context, "0660", "http:local", words);
    await until("it listens", () => running.stdout.includes("\n"));
    const path = context.sandbox.path("sockets/0.sock");
    assert.is(running.stdout, `unix:${path}\n`);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(path, () => socket.write("GET /metadata HTTP/1.1\r\nHost: localhost\r\n\r\n"));
      socket.on("data", (data) => resolve(data.toString()));
      socket.on("error", reject);
    });
    assert.match(answer, /^HTTP\/1\.1 401 /);
    running.kill();
    assert.is(await within(5000, "nbd-gateway", running.exit), 0);
  },
);

tests.run();
