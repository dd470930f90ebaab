/** Files that nbd-gateway fetches from nginx by itself, asked for by nbd-serve --pull. */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { connect } from "node:net";
import * as assert from "uvu/assert";
import { nbdClient, socketTransport } from "../../src/node/index.ts";
import { failure } from "../bytes.ts";
import { needing, program, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { type FileServer, startFileNginx } from "../nginx.ts";
import { attachedAt, type Entry, startGateway } from "./link.ts";

interface Context {
  sandbox: Sandbox;
  web: FileServer;
  gateway: Running & { url: string };
}

const tests = suite<Context>("what a gateway fetches by itself from nginx");
const testing = needing(tests, ["nginx", "nbdcopy"]);

/** Much more than is read ahead. */
const SIZE = 8 << 20;

/** Where nobody has read yet. */
const FAR = 7 << 20;

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

const imageOf = ({ sandbox }: Context) => sandbox.path("web/iso/disk.iso");
const urlOf = ({ web }: Context) => `${web.origin}/iso/disk.iso`;
const tokenOf = ({ sandbox }: Context) => ["--token-file", sandbox.path("login/token")];
const gatewayOf = ({ gateway }: Context) => gateway.url.replace(/^ws/, "http");

/** Starts nginx, and a gateway that may fetch what is under /iso/ there. */
async function start(context: Context, keys: Entry = {}): Promise<void> {
  const { sandbox } = context;
  mkdirSync(sandbox.path("web/iso"), { recursive: true });
  await randomImage(imageOf(context), SIZE);
  context.web = await startFileNginx(sandbox, sandbox.path("web"));
  const sources = [`${context.web.origin}/iso/`];
  const all = { "state-hook": "/nowhere", sources, resume: 60, "take-over-interval": 0, ...keys };
  context.gateway = await startGateway(sandbox, all, { hasLogin: true });
}

/** Runs nbd-serve --pull. */
async function pull(context: Context, url = urlOf(context), ...options: string[]) {
  const args = ["--pull", ...options, ...tokenOf(context), url, `${gatewayOf(context)}local`];
  const running = context.sandbox.start(program("nbd-serve"), args);
  const exit = await within(60_000, "nbd-serve --pull", running.exit);
  return { exit, stderr: running.stderr };
}

async function isEqual({ sandbox, ...context }: Context): Promise<void> {
  const copy = sandbox.path("copy");
  await sandbox.run("nbdcopy", [attachedAt(sandbox).uri, copy]);
  assert.is(await sha256(copy), await sha256(imageOf({ sandbox, ...context })));
}

async function status(context: Context): Promise<string> {
  const args = ["--status", ...tokenOf(context), gatewayOf(context)];
  const running = context.sandbox.start(program("nbd-gateway"), args);
  await within(30_000, "the status", running.exit);
  return running.stdout;
}

const remoteAt = ({ sandbox }: Context) =>
  nbdClient(socketTransport(connect({ path: attachedAt(sandbox).socket, allowHalfOpen: true })), {
    timeout: 120,
  });

testing(
  "a copy is equal once nbd-serve has ended, status tells the source, eject ends it",
  async (context) => {
    const { sandbox } = context;
    await start(context);
    const { exit, stderr } = await pull(context);
    assert.is(exit, 0, stderr);
    assert.match(
      stderr,
      /^nbd-serve: http:\S+\/iso\/disk\.iso is the disk of "local" there, at unix socket\n$/,
    );
    await isEqual(context);
    assert.match(
      await status(context),
      /^ {2}disk\.iso, .*, read-only, from http:\S+\/iso\/disk\.iso, for /m,
    );
    await sandbox.run(program("nbd-gateway"), ["--eject", "local", ...tokenOf(context), gatewayOf(context)]);
    assert.not(existsSync(attachedAt(sandbox).socket));
  },
);

testing("it takes over, and is taken over", async (context) => {
  const { sandbox } = context;
  await start(context);
  const other = sandbox.path("other.iso");
  await randomImage(other, 1 << 20);
  const args = [...tokenOf(context), other, `${gatewayOf(context)}local`];
  const first = sandbox.start(program("nbd-serve"), args);
  await until("the first is served", () => existsSync(attachedAt(sandbox).socket));
  const refused = await pull(context);
  assert.is(refused.exit, 1);
  assert.match(
    refused.stderr,
    /: in use since .* by other\.iso from 127\.0\.0\.1.*; --take-over ends that session\n$/,
  );
  assert.is((await pull(context, urlOf(context), "--take-over")).exit, 0);
  assert.is(await within(10_000, "the first's end", first.exit), 1);
  assert.match(first.stderr, /taken over by 127\.0\.0\.1/);
  await isEqual(context);
  sandbox.start(program("nbd-serve"), ["--take-over", ...args]);
  await until("it is taken over", async () => /^ {2}other\.iso, /m.test(await status(context)), 60_000);
});

testing("a restart of nginx in the middle: what was asked for waits, and goes on", async (context) => {
  await start(context);
  assert.is((await pull(context)).exit, 0);
  const remote = await remoteAt(context);
  await remote.read(0, 4096);
  await context.web.stop();
  const reading = remote.read(FAR, 4096);
  await until("it waits", async () => /^local: waiting, /m.test(await status(context)), 60_000);
  await context.web.start();
  await within(30_000, "the read", reading);
  await remote.close();
  await isEqual(context);
  assert.match(await status(context), /link lost once/);
});

testing("mv of another file under it: EIO and words", async (context) => {
  const { sandbox } = context;
  await start(context);
  assert.is((await pull(context)).exit, 0);
  const remote = await remoteAt(context);
  await remote.read(0, 4096);
  await randomImage(sandbox.path("web/new.iso"), SIZE + 512);
  renameSync(sandbox.path("web/new.iso"), imageOf(context));
  const fault = await failure(remote.read(FAR, 4096));
  assert.match(fault.message, /EIO/);
  await until("words", () => /the file was changed on the server/.test(context.gateway.stderr));
  await remote.close();
});

testing("what is refused is told in one line, with exit status 1", async (context) => {
  await start(context);
  const { web } = context;
  for (const [url, words] of [
    [`${web.origin}/iso/none.iso`, /: opening http:\S+\/iso\/none\.iso: .*404/],
    [`${web.origin}/other.iso`, /: it is under none of the "sources" of this configuration/],
    [`${web.origin}/iso/disk.iso?secret=1`, /: it has a query/],
    ["disk.iso", /: disk\.iso is not an http:\/\/ or https:\/\/ URL/],
  ] as const) {
    const { exit, stderr } = await pull(context, url);
    assert.is(exit, 1, stderr);
    assert.match(stderr, /^nbd-serve: [^\n]+\n$/);
    assert.match(stderr, words);
    assert.not.match(stderr + context.gateway.stderr, /secret/);
  }
});

tests.run();
