import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { socketTransport } from "../../src/node/socket.ts";
import { parseConversation } from "../../src/transport/conversation.ts";
import { replayLayer } from "../../src/transport/replay.ts";
import { fixtureImage } from "../fixtures/image.ts";
import { program, type Running, Sandbox, suite, until, within } from "../harness.ts";

const tests = suite<{ sandbox: Sandbox }>("nbd-proxy --record");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

/** nbd-proxy, recording to `file`, whose other side is nbd-serve. */
function start(
  sandbox: Sandbox,
  file: string,
  [command, args]: [string, string[]] = [program("nbd-proxy"), []],
): { proxy: Running; socket: string } {
  const socket = sandbox.path("offered.sock");
  const config = sandbox.path("config.json");
  const image = sandbox.path("disk.img");
  writeFileSync(config, JSON.stringify({ configurations: { it: { listen: `unix:${socket}` } } }));
  writeFileSync(image, fixtureImage());
  const server = sandbox.start(program("nbd-serve"), [image, "-"], { wire: true });
  const proxy = sandbox.start(command, [...args, "--config", config, "--record", file], { wire: true });
  for (const [from, to] of [
    [server, proxy],
    [proxy, server],
  ] as const) {
    from.process.stdout!.on("error", () => {}).pipe(to.process.stdin!.on("error", () => {}));
  }
  return { proxy, socket };
}

tests("a file whose name is not UTF-8 gets that name", async ({ sandbox }) => {
  const config = sandbox.path("config.json");
  const listen = `unix:${sandbox.path("offered.sock")}`;
  writeFileSync(config, JSON.stringify({ configurations: { it: { listen } } }));
  const names = () => readdirSync(sandbox.folder, "latin1").filter((name) => name.startsWith("said"));
  // Node gives other programs arguments in UTF-8 only.
  for (const [i, form] of ["--record said", "--record=said"].entries()) {
    const script = `node '${program("nbd-proxy")}' --config config.json ${form}$(printf '\\35${i}') < /dev/null`;
    await sandbox.run("sh", ["-c", `${script} 2> /dev/null || :`]);
  }
  assert.equal(names().sort(), ["said\xe8", "said\xe9"]);
});

tests("a live session becomes a fixture, while it runs", async ({ sandbox }) => {
  const file = sandbox.path("session.nbd");
  const { proxy, socket } = start(sandbox, file);
  await until("nbd-proxy to listen", () => proxy.stderr.includes(socket));
  const remote = await nbdClient(socketTransport(connect({ path: socket, allowHalfOpen: true })));
  assert.is(statSync(file).mode & 0o777, 0o600, "it holds what is on the disk");
  const data = new Uint8Array(await remote.read(510, 1000));
  assert.equal(data, fixtureImage().slice(510, 1510));
  // The proxy asks for whole sectors.
  assert.match(readFileSync(file, "utf8"), /^# READ 1536 bytes at 0, cookie 0x0$/m);
  await remote.close();
  proxy.kill("SIGTERM");
  assert.is(await within(5000, "nbd-proxy's end", proxy.exit), 0, proxy.stderr);

  const text = readFileSync(file, "utf8");
  assert.match(
    text,
    /^# An NBD session, recorded by nbd-proxy as the client \(C\) of a server \(S\)\n\n# greeting/,
  );
  assert.match(text, /# GO "" wants NAME, DESCRIPTION, BLOCK_SIZE\n/);
  assert.match(text, /# last chunk to READ, cookie 0x0: OFFSET_DATA, 1536 bytes at 0\n/);
  assert.match(text, /# DISC, cookie 0x0\n/);
  const target = memoryExport(fixtureImage(), { readOnly: true });
  await replayLayer(nbdServer(target, { name: "disk.img", isSingle: true }), parseConversation(text), {
    as: "client",
    chunkSize: 5,
  });
});

tests("a file that can't be opened: one line, exit status 1", async ({ sandbox }) => {
  const { proxy } = start(sandbox, sandbox.path("no/such/folder"));
  assert.is(await within(10_000, "nbd-proxy's end", proxy.exit), 1);
  assert.match(proxy.stderr, /^nbd-proxy: recording to \S+no\/such\/folder: there is no such folder\n$/);
});

tests("a disk that is full in mid-session: one line, exit status 1", async ({ sandbox }) => {
  const file = sandbox.path("session.nbd");
  // As a full disk is, for this program: no file may have more than 512 bytes.
  const limited = ["-c", 'ulimit -f 1 && exec "$@"', "sh", process.execPath, program("nbd-proxy")];
  const { proxy } = start(sandbox, file, ["sh", limited]);
  assert.is(await within(10_000, "nbd-proxy's end", proxy.exit), 1);
  assert.match(proxy.stderr, /^nbd-proxy: recording to \S+session\.nbd: EFBIG[^\n]*\n$/);
});

tests.run();
