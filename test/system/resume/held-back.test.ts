/** A write that is held back on a link that was lost never comes after what is written on the next one. */
import { existsSync, truncateSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { connectExport } from "../../../src/node/connect-export.ts";
import { type Running, Sandbox, suite, until, within } from "../../harness.ts";
import { attached, attachedAt, startGateway } from "../link.ts";
import { holdingServe } from "./altered-serve.ts";
import { GO, HELD, IS_HELD } from "./holding-file.ts";
import { UnreliableRelay } from "./unreliable-relay.ts";

interface Context {
  sandbox: Sandbox;
  gateway: Running & { url: string };
  relay: UnreliableRelay;
  image: string;
  script: string;
}

const tests = suite<Context>("a write that is held back");

/** Milliseconds in which a server that is not fenced off has connected again and written more. */
const LONG_ENOUGH = 2000;

tests.before.each(async (context) => {
  const sandbox = new Sandbox();
  const image = sandbox.path("disk.img");
  Object.assign(context, { sandbox, image });
  writeFileSync(image, "");
  truncateSync(image, 1 << 20);
  context.gateway = await startGateway(sandbox, { resume: 120 });
  context.relay = await UnreliableRelay.start(Number(new URL(context.gateway.url).port));
  context.script = await holdingServe(sandbox);
});
tests.after.each(async ({ sandbox, relay }) => {
  await sandbox.end();
  await relay.close();
});

const serve = ({ sandbox, relay, image, script }: Context) =>
  sandbox.start(process.execPath, [script, "--writable", image, `ws://127.0.0.1:${relay.port}/`]);

/** Has a write held back, and the link cut. The write and a newer one of the same sector are on their way. */
async function holdBack(context: Context) {
  const { sandbox, gateway, relay, image } = context;
  const server = serve(context);
  await attached(gateway);
  const disk = await connectExport(attachedAt(sandbox).uri);
  await disk.read(0, 512);
  const older = disk.write!(4096, new Uint8Array(512).fill(HELD));
  older.catch(() => {});
  await until("it is held back", () => existsSync(image + IS_HELD));
  relay.cut();
  await until("the gateway waits", () => /the link is lost/.test(gateway.stderr));
  const newer = disk.write!(4096, new Uint8Array(512).fill(0xbb));
  const written = Promise.all([older, newer]);
  written.catch(() => {});
  return { server, disk, written };
}

async function assertNewer({ image }: Context): Promise<void> {
  const bytes = await readFile(image);
  assert.equal(bytes.subarray(4096, 4608), Buffer.alloc(512, 0xbb));
}

tests("nbd-serve waits for it before it connects again", async (context) => {
  const { image } = context;
  const { server, disk, written } = await holdBack(context);
  await sleep(LONG_ENOUGH);
  writeFileSync(image + GO, "");
  await within(20_000, "the writes", written);
  await disk.flush!();
  await disk.close();
  server.kill();
  await within(10_000, "its end", server.exit);
  await assertNewer(context);
});

tests("another nbd-serve is refused while it may still come", async (context) => {
  const { gateway, image } = context;
  const { server, disk, written } = await holdBack(context);
  server.kill("SIGSTOP");
  const early = serve(context);
  assert.is(await within(20_000, "the refusal", early.exit), 1);
  assert.match(early.stderr, /disk\.img: another nbd-serve serves it to be written to; end that one first/);
  server.kill("SIGKILL");
  await server.exit;
  writeFileSync(image + GO, "");
  const next = serve(context);
  await within(20_000, "the writes", written);
  assert.match(gateway.stderr, /the link is back/);
  await disk.flush!();
  await disk.close();
  next.kill();
  await within(10_000, "its end", next.exit);
  await assertNewer(context);
});

tests.run();
