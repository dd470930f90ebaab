/** A file that cannot be read any more while it is served: both sides say so, and no more often than somebody can read. */
import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import * as assert from "uvu/assert";
import { needing, program, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { pattern, throughGateway } from "./link.ts";

const SIZE = 1 << 20;

/** Of a share, of which the system holds what was read to find out whether it is still the same. */
const SHARE_SIZE = 1 << 26;

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("a file that breaks while it is served");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(SIZE));
});
tests.after.each(({ sandbox }) => sandbox.end());

/** Reads 4 KiB each from some offsets, and gives the errnos. */
async function reads(sandbox: Sandbox, uri: string, offsets: readonly number[]): Promise<string[]> {
  const script = `
import errno, nbd
h = nbd.NBD()
h.connect_uri("${uri}")
for at in ${JSON.stringify(offsets)}:
    try:
        h.pread(4096, at)
        print("read")
    except nbd.Error as error:
        print(error.errno)
h.shutdown()`;
  const output = await sandbox.run("/usr/bin/python3", ["-c", script]);
  return output.trim().split("\n");
}

const linesWith = ({ stderr }: Running, pattern: RegExp) =>
  stderr.split("\n").filter((line) => pattern.test(line));

needing(tests, ["nbdsh"])(
  "it was truncated: one line on each side, however many reads fail",
  async (context) => {
    const { sandbox, image } = context;
    const { uri, server, gateway } = await throughGateway(sandbox, image);
    truncateSync(image, 5000);
    const beyond = Array.from({ length: 100 }, (_, i) => 8192 + 4096 * i);
    const results = await reads(sandbox, uri, [0, ...beyond, 0]);
    assert.equal(new Set(results.slice(1, -1)), new Set(["EIO"]));
    assert.equal([results[0], results.at(-1)], ["read", "read"]);
    // Whichever of those that are ahead of the reader came first.
    const told = linesWith(server, /failed/);
    assert.is(told.length, 1, server.stderr);
    assert.match(
      told[0]!,
      /^nbd-serve: \S+disk\.img: READ of \d+ bytes at \d+ failed: the file has become shorter: there is nothing at \d+ any more$/,
    );
    const said = linesWith(gateway, /failed/);
    assert.is(said.length, 1, gateway.stderr);
    assert.match(
      said[0]!,
      /local: READ of 4096 bytes at 8192 failed: the server answered EIO to READ of \d+ bytes at \d+/,
    );
    server.kill();
    assert.is(await within(10_000, "its end", server.exit), 0);
    await until("the gateway has said how many", () => /\d+ more requests have failed/.test(gateway.stderr));
    assert.match(server.stderr, /\d+ more requests have failed/);
  },
);

/** A file of `SHARE_SIZE` bytes whose reads fail as soon as `breaks()` was called, as on a network share that is gone. */
async function share(sandbox: Sandbox, image: string) {
  const [folder, trigger] = [sandbox.path("share"), sandbox.path("broken")];
  truncateSync(image, SHARE_SIZE);
  mkdirSync(folder);
  const path = `${folder}/nbd`;
  const nbdkit = ["nbdkit", "-s", "--exit-with-parent", "--filter=error", "file", image];
  const fuse = sandbox.start("nbdfuse", [
    folder,
    "--command",
    ...nbdkit,
    "error-pread=EIO",
    "error-pread-rate=100%",
    `error-pread-file=${trigger}`,
  ]);
  await until("the share is there", async () => {
    if (fuse.process.exitCode !== null) throw new Error(`nbdfuse: ${fuse.stderr}`);
    return (await stat(path).catch(() => undefined))?.size === SHARE_SIZE;
  });
  return { path, breaks: () => writeFileSync(trigger, ""), heals: () => rmSync(trigger) };
}

needing(tests, ["nbdsh", "nbdfuse", "nbdkit", "fusermount3"])(
  "a share that fails is refused when it is chosen, and told of when it fails later",
  async ({ sandbox, image }) => {
    const { path, breaks, heals } = await share(sandbox, image);
    try {
      breaks();
      const refused = sandbox.start(program("nbd-serve"), [path, "-"], { wire: true });
      assert.is(await within(20_000, "its end", refused.exit), 1);
      assert.is(refused.stderr, `nbd-serve: opening ${path}: it cannot be read: EIO: i/o error, read\n`);
      heals();
      const { uri, server, gateway } = await throughGateway(sandbox, path);
      assert.equal(await reads(sandbox, uri, [0]), ["read"]);
      breaks();
      // What the system, or the gateway, holds of it is read as before.
      const apart = Array.from({ length: 8 }, (_, i) => (i + 1) * 7_000_000);
      const failed = await reads(sandbox, uri, apart);
      assert.ok(failed.includes("EIO"), failed.join());
      assert.is(linesWith(server, /failed: EIO: i\/o error, read$/).length, 1, server.stderr);
      assert.is(
        linesWith(gateway, /failed: the server answered EIO .*"EIO: i\/o error, read"$/).length,
        1,
        gateway.stderr,
      );
      heals();
      assert.equal(new Set(await reads(sandbox, uri, apart)), new Set(["read"]));
    } finally {
      await sandbox.run("fusermount3", ["-u", "-z", sandbox.path("share")]);
    }
  },
);

tests.run();
