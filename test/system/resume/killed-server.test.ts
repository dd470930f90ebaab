/** nbd-serve that is killed, and started again, at a gateway that waits for it. */
import { existsSync, readdirSync } from "node:fs";
import { open, readFile, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { connectExport } from "../../../src/node/connect-export.ts";
import { program, type Running, Sandbox, suite, until, within } from "../../harness.ts";
import { startGateway } from "../link.ts";

const tests = suite<{ sandbox: Sandbox; image: string }>("nbd-serve is killed and started again");
tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  await writeFile(context.image, new Uint8Array(1 << 20).fill(7));
});
tests.after.each(({ sandbox }) => sandbox.end());

const SECTOR = (byte: number) => new Uint8Array(512).fill(byte);

/** Asserts that a sector has nothing but this byte. */
async function assertSector(reading: Promise<Uint8Array>, byte: number) {
  assert.equal(Buffer.from(await within(10_000, "the read", reading)), Buffer.from(SECTOR(byte)));
}

async function attached(sandbox: Sandbox, url: string, ...args: string[]): Promise<Running> {
  const serving = sandbox.start(program("nbd-serve"), [...args, url]);
  await until("it serves", () => /: serving /.test(serving.stderr) && existsSync(sandbox.path("nbd.sock")));
  return serving;
}

for (const options of [[], ["--writable"]]) {
  tests(
    `a disk goes on, ${options[0] ?? "read-only"}; stopped in order, nothing is left of it`,
    async ({ sandbox, image }) => {
      const gateway = await startGateway(sandbox, { resume: 120 });
      const url = `${gateway.url}local`;
      const first = await attached(sandbox, url, ...options, image);
      const disk = await connectExport(`nbd+unix:///?socket=${sandbox.path("nbd.sock")}`);
      await assertSector(disk.read(0, 512), 7);
      if (options.length > 0) await disk.write!(4096, SECTOR(1));
      first.kill("SIGKILL");
      await first.exit;
      const reading = disk.read(8192, 512);
      const writing = options.length > 0 ? disk.write!(4096, SECTOR(2)) : undefined;
      const second = await attached(sandbox, url, ...options, image);
      // What is read may be in the gateway's cache.
      await until("the gateway goes on", () => /the link is back/.test(gateway.stderr));
      await assertSector(reading, 7);
      if (writing) {
        await within(10_000, "the write", writing);
        assert.equal((await readFile(image)).subarray(4096, 4608), Buffer.from(SECTOR(2)));
      }
      const kept = () => readdirSync(sandbox.folder).filter((name) => name.startsWith("resume-"));
      assert.is(kept().length, 1);
      second.kill("SIGTERM");
      assert.is(await within(10_000, "its end", second.exit), 0);
      assert.equal(kept(), []);
      await disk.close().catch(() => {});
    },
  );
}

tests(
  "an image that another program has changed meanwhile is refused, and the gateway waits on",
  async ({ sandbox, image }) => {
    const gateway = await startGateway(sandbox, { resume: 120 });
    const url = `${gateway.url}local`;
    const first = await attached(sandbox, url, "--writable", image);
    const disk = await connectExport(`nbd+unix:///?socket=${sandbox.path("nbd.sock")}`);
    await disk.read(0, 512);
    first.kill("SIGKILL");
    await first.exit;
    const stamp = sandbox.path("stamp");
    await sandbox.run("touch", ["-r", image, stamp]);
    const handle = await open(image, "r+");
    await handle.write(SECTOR(9), 0, 512, 500 * 1024 + 512);
    await handle.close();
    const second = sandbox.start(program("nbd-serve"), ["--writable", image, url]);
    assert.is(await within(10_000, "the refusal", second.exit), 1);
    assert.match(second.stderr, /this is another medium than the one in use: \\*"disk\.img was changed/);
    await until("the gateway says so", () => /changed by another program/.test(gateway.stderr));

    // As it was, it is taken.
    const mending = await open(image, "r+");
    await mending.write(SECTOR(7), 0, 512, 500 * 1024 + 512);
    await mending.close();
    await sandbox.run("touch", ["-r", stamp, image]);
    await attached(sandbox, url, "--writable", image);
    await until("the gateway goes on", () => /the link is back/.test(gateway.stderr));
    await disk.write!(8192, SECTOR(3));
    assert.equal((await readFile(image)).subarray(8192, 8704), Buffer.from(SECTOR(3)));
    await disk.close().catch(() => {});
  },
);

tests("a second one beside one that serves is a stranger: it is refused", async ({ sandbox, image }) => {
  const gateway = await startGateway(sandbox, { resume: 120 });
  const url = `${gateway.url}local`;
  const first = await attached(sandbox, url, image);
  const disk = await connectExport(`nbd+unix:///?socket=${sandbox.path("nbd.sock")}`);
  await disk.read(0, 512);
  const second = sandbox.start(program("nbd-serve"), [image, url]);
  assert.is(await within(20_000, "the refusal", second.exit), 1);
  assert.match(second.stderr, /in use by another session/);
  await assertSector(disk.read(4096, 512), 7);
  assert.is(first.process.exitCode, null);
  await disk.close().catch(() => {});
});

tests("an image is written to by one nbd-serve at a time", async ({ sandbox, image }) => {
  const gateway = await startGateway(sandbox, { resume: 120 });
  await attached(sandbox, `${gateway.url}local`, "--writable", image);
  const second = sandbox.start(program("nbd-serve"), ["--writable", image, "-"]);
  assert.is(await within(10_000, "the refusal", second.exit), 1);
  assert.match(second.stderr, /disk\.img: another nbd-serve serves it to be written to; end that one first/);
});

tests.run();
