/** What a flush, or a write with FUA, was answered for is there, whatever happens before and after. */
import { truncateSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import { connectExport } from "../../../src/node/connect-export.ts";
import { type Running, Sandbox, suite, until, within } from "../../harness.ts";
import { attached, attachedAt, startGateway } from "../link.ts";
import { losingServe } from "./altered-serve.ts";
import { UnreliableRelay } from "./unreliable-relay.ts";

interface Context {
  sandbox: Sandbox;
  gateway: Running & { url: string };
  relay: UnreliableRelay;
  image: string;
  script: string;
}

const tests = suite<Context>("what is true once it was answered");

const SIZE = 1 << 20;
const BLOCK = 4096;

/** How many blocks are written in each round: if one in two is lost, it shows. */
const BLOCKS = 24;
const ROUNDS = 2;

tests.before.each(async (context) => {
  const sandbox = new Sandbox();
  const image = sandbox.path("disk.img");
  Object.assign(context, { sandbox, image });
  writeFileSync(image, "");
  truncateSync(image, SIZE);
  context.gateway = await startGateway(sandbox, { resume: 120 });
  context.relay = await UnreliableRelay.start(Number(new URL(context.gateway.url).port));
  context.script = await losingServe(sandbox);
});
tests.after.each(async ({ sandbox, relay }) => {
  await sandbox.end();
  await relay.close();
});

const serve = ({ sandbox, relay, image, script }: Context) =>
  sandbox.start(process.execPath, [script, "--writable", image, `ws://127.0.0.1:${relay.port}/`]);

const kill = async (server: Running) => {
  server.kill("SIGKILL");
  await server.exit;
};

const lost = ({ gateway }: Context) => gateway.stderr.split("the link is lost").length;

/** Waits until the gateway has noticed one more loss. */
const noticed = (context: Context, before: number) =>
  until("the loss is noticed", () => lost(context) > before);

const numbers = Array.from({ length: BLOCKS }, (_, i) => i);

const write = (disk: Export, value: number, fua = false) =>
  Promise.all(numbers.map((i) => disk.write!(i * BLOCK, new Uint8Array(BLOCK).fill(value), { fua })));

/** What happens to the server between what is written and the answer that makes it true. Returns the one that runs then. */
const events: Readonly<Record<string, (context: Context, server: Running) => Promise<Running>>> = {
  async "a cut"(context, server) {
    const before = lost(context);
    context.relay.cut();
    await noticed(context, before);
    return server;
  },
  async "a crash"(context, server) {
    const before = lost(context);
    await kill(server);
    await noticed(context, before);
    return serve(context);
  },
};

/** Writes, and has it made true. */
const ways: Readonly<
  Record<string, (disk: Export, value: number, event: () => Promise<unknown>) => Promise<unknown>>
> = {
  async "a flush after it"(disk, value, event) {
    await write(disk, value);
    await event();
    await disk.flush!();
  },
  async "a flush under way"(disk, value, event) {
    await write(disk, value);
    const flushing = disk.flush!();
    await Promise.all([event(), flushing]);
  },
  async "writes with FUA under way"(disk, value, event) {
    // Older ones, which are not flushed, may not come over them.
    await write(disk, 255 - value);
    await Promise.all([write(disk, value, true), event()]);
  },
};

for (const [what, event] of Object.entries(events)) {
  for (const [how, make] of Object.entries(ways)) {
    tests(`${what}, and ${how}`, async (context) => {
      const { gateway, image } = context;
      let server = serve(context);
      await attached(gateway);
      const disk = await connectExport(attachedAt(context.sandbox).uri);
      await disk.read(0, 512);
      for (let round = 1; round <= ROUNDS; round++) {
        const making = make(disk, round, async () => {
          server = await event(context, server);
        });
        await within(30_000, "the answer", making);
        const before = lost(context);
        await kill(server);
        const bytes = await readFile(image);
        const wrong = numbers.filter(
          (i) => !bytes.subarray(i * BLOCK, (i + 1) * BLOCK).equals(Buffer.alloc(BLOCK, round)),
        );
        assert.equal(wrong, [], `round ${round}: what was answered for is not in the image`);
        await noticed(context, before);
        server = serve(context);
      }
      await within(30_000, "a last flush", disk.flush!());
      await disk.close();
    });
  }
}

tests.run();
