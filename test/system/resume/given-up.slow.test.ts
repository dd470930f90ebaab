/** Nobody comes back to a gateway that waits for a lost link, or the wait is ended: what local clients see, and who comes next. */
import { existsSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { connectExport } from "../../../src/node/connect-export.ts";
import { post } from "../../../src/node/login/post.ts";
import { failure } from "../../bytes.ts";
import { needing, program, type Running, Sandbox, suite, until, within } from "../../harness.ts";
import { hookCalls, writeHook } from "../kernel/guest.ts";
import { type Entry, pattern } from "../link.ts";
import { PatientQemu } from "../patient-qemu.ts";
import { RawClient } from "../raw-client.ts";
import { timesLost } from "./spoiled-link.ts";
import { type ThroughRelay, throughRelay } from "./through-relay.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("a lost link that is given up");

/** Seconds for which the disk waits. */
const RESUME = 3;

/** More than what is read ahead of a first read. */
const SIZE = 8 << 20;
const BYTES = pattern(SIZE)
  .fill(0x61, 1 << 16, 1 << 17)
  .fill(0x61, 6 << 20, 7 << 20);

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, BYTES);
  writeHook(context.sandbox);
});
tests.after.each(({ sandbox }) => sandbox.end());

const through = (
  { sandbox, image }: Context,
  keys: Entry = { resume: RESUME },
  options: { writable?: boolean } = {},
) => throughRelay(sandbox, image, { keys, ...options });

/** Kills the server, so that nobody comes back, and waits until the gateway waits. */
async function lose({ gateway, server }: ThroughRelay): Promise<void> {
  server.kill("SIGKILL");
  await until("the gateway waits", () => timesLost(gateway) === 1);
}

/** How often an export was attached. */
const timesAttached = ({ stderr }: Running) =>
  stderr.match(/ bytes, (?:writable|read-only), on /g)?.length ?? 0;

const stopped = async (sandbox: Sandbox) => {
  await until("the hook has said stop", () => hookCalls(sandbox).length >= 2);
  assert.equal(hookCalls(sandbox), ["start local", "stop local"]);
};

/** Another session begins, and reads what it should. */
async function nextIsServed({ sandbox, image }: Context, { gateway, uri }: ThroughRelay): Promise<void> {
  const before = timesAttached(gateway);
  sandbox.start(program("nbd-serve"), [image, `${gateway.url}local`]);
  await until("the next session", () => timesAttached(gateway) > before);
  const disk = await connectExport(uri);
  assert.equal(Buffer.from(await disk.read(4096, 512)), BYTES.subarray(4096, 4608));
  await disk.close();
}

/** A client that has asked for something before the link was lost, and for more while it is. */
async function askAndLose(scene: ThroughRelay): Promise<RawClient> {
  const client = await RawClient.open(scene.socket);
  client.read(1, 0, 4096);
  await client.reply(4096);
  scene.server.kill("SIGSTOP");
  client.read(2, SIZE / 2, 4096);
  await lose(scene);
  client.read(3, SIZE - 4096, 4096);
  return client;
}

/** The connection ends, and nothing comes before. */
async function endsWithoutAnswer(client: RawClient): Promise<void> {
  await client.end();
  const { message } = await failure(client.take(1));
  assert.is(message, "the connection ended, 0 of 1 bytes were there");
}

tests(
  "after the seconds that it waits clients are disconnected without an answer, and the next is served",
  async (context) => {
    const scene = await through(context);
    const client = await askAndLose(scene);
    const lostAt = performance.now();
    await within((RESUME + 1) * 1000, "the end", endsWithoutAnswer(client));
    const waited = performance.now() - lostAt;
    assert.ok(waited > (RESUME - 1) * 1000, `it waited ${waited} ms`);
    await stopped(context.sandbox);
    const { gateway } = scene;
    const told = () => gateway.stderr.match(/^nbd-gateway: local: nobody came back .*$/gm) ?? [];
    await until("it says so", () => told().length > 0);
    assert.equal(told(), ["nbd-gateway: local: nobody came back within 3 s: the disk is given up"]);
    assert.not.ok(existsSync(scene.socket));
    await nextIsServed(context, scene);
  },
);

needing(tests, ["qemu-io"])(
  "qemu with reconnect-delay, which has asked while the disk waited, reads on in the next session",
  async (context) => {
    const scene = await through(context);
    const qemu = new PatientQemu(context.sandbox, scene.socket);
    qemu.read("64k");
    await until("a read before", () => qemu.answers.length === 1);
    await lose(scene);
    qemu.read("6M");
    await stopped(context.sandbox);
    assert.is(qemu.answers.length, 1);
    await nextIsServed(context, scene);
    await until("a read in the next session", () => qemu.answers.length === 2, 60_000);
    assert.is(await qemu.quit(), 0);
    assert.match(qemu.answers[1]!, "read 4096/4096 bytes at offset 6291456");
  },
);

needing(tests, ["nbdkit"])("nbdkit with its retry filter reads on in the next session", async (context) => {
  const { sandbox } = context;
  const scene = await through(context);
  const socket = sandbox.path("nbdkit.sock");
  const retry = ["retries=60", "retry-delay=1", "retry-exponential=no"];
  sandbox.start("nbdkit", ["-f", "-r", "-U", socket, "--filter=retry", "nbd", `uri=${scene.uri}`, ...retry]);
  await until("nbdkit listens", () => existsSync(socket));
  const disk = await connectExport(`nbd+unix:///?socket=${socket}`);
  await disk.read(0, 512);
  await lose(scene);
  const reading = disk.read(SIZE - 512, 512);
  await stopped(sandbox);
  await nextIsServed(context, scene);
  assert.equal(Buffer.from(await within(60_000, "the read", reading)), BYTES.subarray(SIZE - 512));
  await disk.close();
});

/** Ways to eject at a gateway without a login. */
const EJECTS: Readonly<Record<string, (sandbox: Sandbox, url: string) => Promise<unknown>>> = {
  async "POST /eject/NAME"(_sandbox, url) {
    const { statusCode } = await post(
      new URL("eject/local", url),
      undefined,
      {},
      AbortSignal.timeout(60_000),
    );
    assert.is(statusCode, 204);
  },
  "nbd-gateway --eject NAME": (sandbox, url) =>
    sandbox.run(program("nbd-gateway"), ["--no-auth", "--eject", "local", url]),
};

for (const [how, eject] of Object.entries(EJECTS)) {
  tests(`${how} ends the wait at once, and a session that has its link`, async (context) => {
    const { sandbox } = context;
    const scene = await through(context, { resume: 300 });
    const url = scene.gateway.url.replace(/^ws/, "http");
    const client = await askAndLose(scene);
    await eject(sandbox, url);
    await within(1000, "the end", endsWithoutAnswer(client));
    await stopped(sandbox);
    await until("it says so", () => /: ejected after \d+ s, /.test(scene.gateway.stderr));

    await nextIsServed(context, scene);
    await eject(sandbox, url);
    assert.not.ok(existsSync(scene.socket));
    await until("the hook has said stop again", () => hookCalls(sandbox).length === 4);
    assert.is(scene.gateway.process.exitCode, null);
  });
}

for (const isUnflushed of [false, true]) {
  const what = isUnflushed ? ", and tells what may be lost" : "";
  tests(`SIGTERM ends a gateway that waits${what}`, async (context) => {
    const scene = await through(context, { resume: 300 }, { writable: true });
    const disk = await connectExport(scene.uri);
    await disk.write!(0, new Uint8Array(4096));
    if (!isUnflushed) await disk.flush!();
    await lose(scene);
    scene.gateway.kill("SIGTERM");
    assert.is(await within(5000, "its end", scene.gateway.exit), isUnflushed ? 1 : 0, scene.gateway.stderr);
    assert.is(/what was written last may be lost/.test(scene.gateway.stderr), isUnflushed);
    await stopped(context.sandbox);
    await disk.close().catch(() => {});
  });
}

tests("with resume 0 a session ends with its link, as ever", async (context) => {
  const scene = await through(context, { resume: 0 });
  const client = await RawClient.open(scene.socket);
  client.read(1, 0, 4096);
  await client.reply(4096);
  scene.server.kill("SIGKILL");
  await within(1000, "the end", client.end());
  await stopped(context.sandbox);
  assert.is(timesLost(scene.gateway), 0);
  await nextIsServed(context, scene);
});

tests.run();
