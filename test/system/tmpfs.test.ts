/** A file on a tmpfs, which makes holes and has no zeroes but those that are written, and clients that ask for them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { needing, program, Sandbox, suite } from "../harness.ts";
import { pattern, sha256, throughGateway } from "./link.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
}

const tests = suite<Context>("a file on a tmpfs");

const MIB = 1 << 20;

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = `${mkdtempSync("/dev/shm/nbd-proxy-test-")}/disk.img`;
  writeFileSync(context.image, pattern(8 * MIB));
});
tests.after.each(async ({ sandbox, image }) => {
  await sandbox.end();
  rmSync(image.replace("/disk.img", ""), { recursive: true });
});

/** The first half is data, of the second each other half MiB. */
function source(sandbox: Sandbox): string {
  const bytes = pattern(8 * MIB, 2);
  for (let at = 4 * MIB; at < bytes.length; at += MIB) bytes.fill(0, at, at + MIB / 2);
  writeFileSync(sandbox.path("source"), bytes);
  return sandbox.path("source");
}

needing(tests, ["nbdsh"])(
  "zeroes that stay allocated, zeroes, fast ones, and TRIM",
  async ({ sandbox, image }) => {
    const captive = [process.execPath, program("nbd-serve"), "--writable", image, "-"];
    const script = `
import nbd
h = nbd.NBD()
h.connect_command(${JSON.stringify(captive)})
assert h.can_trim() and h.can_zero() and h.can_fast_zero()
expected = bytearray(h.pread(${MIB}, 0))
for offset, flags in ((0, nbd.CMD_FLAG_NO_HOLE), (100001, 0), (200001, nbd.CMD_FLAG_FAST_ZERO),
                      (300001, nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FAST_ZERO), (400001, nbd.CMD_FLAG_FUA)):
    h.zero(40960, offset, flags)
    expected[offset:offset + 40960] = bytes(40960)
assert h.pread(${MIB}, 0) == expected
h.trim(4096, 0)
h.flush()
h.shutdown()`;
    await sandbox.run("/usr/bin/python3", ["-c", script]);
  },
);

needing(tests, ["nbdcopy", "qemu-img"])("nbdcopy and qemu-img convert to it", async ({ sandbox, image }) => {
  const from = source(sandbox);
  const { uri } = await throughGateway(sandbox, image, { writable: true });
  for (const [command, ...args] of [
    ["nbdcopy", "--flush", from, uri],
    ["nbdcopy", "--allocated", "--flush", from, uri],
    ["qemu-img", "convert", "-n", "-O", "raw", from, uri],
    ["qemu-img", "convert", "-n", "-S", "0", "-O", "raw", from, uri],
  ]) {
    writeFileSync(image, pattern(8 * MIB));
    await sandbox.run(command!, args);
    assert.is(await sha256(image), await sha256(from), [command, ...args].join(" "));
  }
});

tests.run();
