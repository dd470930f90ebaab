/** A server that is killed again and again while fio writes through the gateway, and reads back. */
import { truncateSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { needing, program, type Running, Sandbox, suite, within } from "../../harness.ts";
import { attached, attachedAt, startGateway } from "../link.ts";
import { losingServe } from "./altered-serve.ts";
import { KilledAgain } from "./killed-again.ts";

interface Context {
  sandbox: Sandbox;
  gateway: Running & { url: string };
  image: string;
}

const tests = suite<Context>("a server that is killed under load");

const SIZE = 16 << 20;

tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, "");
  truncateSync(context.image, SIZE);
  context.gateway = await startGateway(context.sandbox, { resume: 120 });
});
tests.after.each(({ sandbox }) => sandbox.end());

/** How often all is written; KILLED_ROUNDS says so for long runs. */
const ROUNDS = Number(process.env.KILLED_ROUNDS ?? 3);

/** Milliseconds that fio may take for each round. */
const ROUND = 40_000;

/** What is written, again and again and at a rate that makes it last; each time all of it is read back and verified. */
const load = (uri: string) => [
  ...["--name=verify", "--ioengine=nbd", `--uri=${uri}`, "--size=4m", `--loops=${ROUNDS}`, "--randseed=1"],
  ...["--rw=randwrite", "--bs=4k", "--iodepth=16", "--rate_iops=2000,250", "--fsync=300"],
  ...["--verify=crc32c", "--verify_fatal=1", "--end_fsync=1"],
];

/** Writes and verifies under kills; what is read in the end is what the image has. */
async function survives({ sandbox, gateway, image }: Context, script: string): Promise<void> {
  const { socket, uri } = attachedAt(sandbox);
  const served = KilledAgain.serving(sandbox, script, ["--writable", image, gateway.url], 3000);
  await attached(gateway);
  const fio = sandbox.start("fio", load(uri));
  assert.is(await within(ROUNDS * ROUND, "fio", fio.exit), 0, `${fio.stdout}${fio.stderr}`);
  assert.ok(served.kills >= 3, `${served.kills} kills`);
  const last = await served.stay();
  const copy = sandbox.path("copy.img");
  await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${socket}`, copy]);
  last.kill("SIGTERM");
  assert.is(await within(10_000, "its end", last.exit), 0);
  const [seen, is] = await Promise.all([readFile(copy), readFile(image)]);
  assert.ok(seen.equals(is), "what is read is what was written");
  assert.not.match(gateway.stderr, /may be lost/);
}

const peers = needing(tests, ["fio", "nbdcopy"]);

peers("nbd-serve", (context) => survives(context, program("nbd-serve")));

peers("one that loses any part of what was not flushed", async (context) => {
  await survives(context, await losingServe(context.sandbox));
});

tests.run();
