/** Files of file systems that have not all that fallocate(2) offers. The test's temporary folder is on one that has. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { Errno, type ExportError } from "../../src/export/error.ts";
import type { Export } from "../../src/export/export.ts";
import { openFileExport } from "../../src/node/file.ts";
import { failure, sequence } from "../bytes.ts";
import { Sandbox, suite } from "../harness.ts";

const tests = suite("files of several file systems");
const sandbox = new Sandbox();
const memory = mkdtempSync("/dev/shm/nbd-proxy-test-");
tests.after(async () => {
  rmSync(memory, { recursive: true });
  await sandbox.end();
});

const BLOCK = 1 << 16;
const allocated = async (path: string) => (await stat(path)).blocks * 512;

/** Zeroes, allocated ones, those with ends that are not aligned, and TRIM: what is read, whatever can be done. */
async function zeroes(path: string): Promise<Export> {
  const expected = sequence(4 * BLOCK);
  writeFileSync(path, expected);
  const target = await openFileExport(path, { writable: true });
  await target.writeZeroes?.(100, BLOCK, { noHole: true });
  await target.writeZeroes?.(2 * BLOCK + 1, 10);
  await target.writeZeroes?.(3 * BLOCK, BLOCK, { fua: true });
  if (target.writeZeroes) {
    expected.fill(0, 100, 100 + BLOCK);
    expected.fill(0, 2 * BLOCK + 1, 2 * BLOCK + 11);
    expected.fill(0, 3 * BLOCK);
  }
  assert.equal(await target.read(0, 4 * BLOCK), expected);
  return target;
}

tests(
  "tmpfs makes holes, and has no zeroes but those that are written: they are allocated all the same",
  async () => {
    const path = join(memory, "zeroes");
    const target = await zeroes(path);
    assert.is(await allocated(path), 3 * BLOCK);
    await target.writeZeroes!(0, 4 * BLOCK, { noHole: true, fast: true });
    assert.is(await allocated(path), 4 * BLOCK);
    await target.trim!(0, 2 * BLOCK);
    assert.is(await allocated(path), 2 * BLOCK);
    await target.close();
  },
);

tests(
  "ext3 makes holes, and allocates nothing: what must be allocated is written, and not fast",
  async () => {
    const disk = sandbox.path("ext3");
    const folder = sandbox.path("mnt");
    writeFileSync(disk, "");
    truncateSync(disk, 16 << 20);
    mkdirSync(folder);
    try {
      execFileSync("mkfs.ext3", ["-q", disk], { stdio: "pipe" });
      execFileSync("mount", ["-o", "loop", disk, folder], { stdio: "pipe" });
    } catch {
      // Not root, or a kernel without loop devices: in User-Mode Linux there are some.
      process.stderr.write("not tested: mounting ext3 needs root, and a kernel with loop devices\n");
      return;
    }
    try {
      const path = join(folder, "zeroes");
      const target = await zeroes(path);
      const before = await target.read(2 * BLOCK, BLOCK);
      const slow = await failure(target.writeZeroes!(2 * BLOCK, BLOCK, { noHole: true, fast: true }));
      assert.is((slow as ExportError).errno, Errno.ENOTSUP);
      assert.equal(await target.read(2 * BLOCK, BLOCK), before, "nothing was done");
      await target.writeZeroes!(2 * BLOCK, BLOCK, { fast: true });
      await target.trim!(0, BLOCK);
      await target.close();
    } finally {
      execFileSync("umount", [folder]);
    }
  },
);

for (const [size, announced] of [
  ["9007199254740993", "9007199254740993"],
  ["9223372036854775807", "9223372036854775807"],
] as const) {
  tests(`a file of ${size} bytes is refused, as a number does not hold that`, async () => {
    const path = join(memory, "large");
    execFileSync("truncate", ["-s", size, path]);
    assert.is(
      (await failure(openFileExport(path))).message,
      `it has ${announced} bytes, and more than 9007199254740991 cannot be served`,
    );
  });
}

tests("a file of as many bytes as a number holds is served to its end", async () => {
  const path = join(memory, "largest");
  execFileSync("truncate", ["-s", "9007199254740991", path]);
  const target = await openFileExport(path, { writable: true });
  assert.is(target.size, Number.MAX_SAFE_INTEGER);
  await target.write!(target.size - 3, sequence(3));
  assert.equal(await target.read(target.size - 4, 4), new Uint8Array([0, ...sequence(3)]));
  const extents = await target.extents!(target.size - BLOCK, BLOCK);
  assert.is(
    extents.reduce((sum, { length }) => sum + length, 0),
    BLOCK,
  );
  await target.close();
});

tests("what opens and cannot be read is refused when it is opened", async () => {
  // Memory of this very process: it is a file, of no bytes, whose first ones are never there.
  assert.ok(existsSync("/proc/self/mem"));
  assert.match(
    (await failure(openFileExport("/proc/self/mem"))).message,
    /^it cannot be read: EIO: i\/o error/,
  );
});

tests.run();
