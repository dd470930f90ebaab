/** Runs in User-Mode Linux: see machine.ts. Its kernel mounts what that of the tests' own machine may not. */
import { execFileSync } from "node:child_process";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { program, Sandbox, suite, within } from "../../harness.ts";
import { pattern, sha256 } from "../link.ts";

interface Context {
  sandbox: Sandbox;
}

const tests = suite<Context>("files of several file systems, served and written to");

const MODULES = ["loop", "brd", "dm-mod", "dm-zero", "vfat", "nls_cp437", "nls_ascii"];

tests.before(() => {
  for (const module of MODULES) execFileSync("modprobe", ["--dirname", "/run/modules", module]);
});
tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(async ({ sandbox }) => {
  await sandbox.run("sh", ["-c", `umount -l ${sandbox.path("mnt")} 2>&-; true`]);
  await sandbox.end();
});

const SIZE = 1 << 20;

/** What each can do. Where there are no holes nothing is offered but to write zeroes. */
const fileSystems: readonly [type: string, mkfs: readonly string[], mount: string, can: readonly string[]][] =
  [
    ["ext3", ["mkfs.ext3", "-q"], "", ["trim", "fast_zero"]],
    ["ext2", ["mkfs.ext2", "-q"], "", []],
    ["vfat", ["mkfs.vfat"], "iocharset=ascii", []],
  ];

for (const [type, [mkfs, ...flags], options, can] of fileSystems) {
  tests(`${type}: zeroes, trims, nbdcopy`, async ({ sandbox }) => {
    const [disk, folder] = [sandbox.path("disk"), sandbox.path("mnt")];
    writeFileSync(disk, "");
    truncateSync(disk, 16 << 20);
    mkdirSync(folder);
    await sandbox.run(mkfs!, [...flags, disk]);
    await sandbox.run("mount", ["-t", type, "-o", `loop${options && `,${options}`}`, disk, folder]);
    const file = `${folder}/image`;
    writeFileSync(file, pattern(SIZE));
    const captive = [process.execPath, program("nbd-serve"), "--writable", file, "-"];
    const script = `
import errno, nbd
h = nbd.NBD()
h.connect_command(${JSON.stringify(captive)})
assert [name for name in ("trim", "fast_zero") if getattr(h, "can_" + name)()] == ${JSON.stringify(can)}
expected = bytearray(h.pread(${SIZE}, 0))
def zero(length, offset, flags = 0):
    h.zero(length, offset, flags)
    expected[offset:offset + length] = bytes(length)
zero(4096, 0, nbd.CMD_FLAG_NO_HOLE)
zero(70000, 100001, nbd.CMD_FLAG_NO_HOLE)
zero(300000, 300001)
zero(4096, 65536, nbd.CMD_FLAG_FUA)
if h.can_fast_zero():
    zero(4096, 700000, nbd.CMD_FLAG_FAST_ZERO)
    try:
        h.zero(4096, 800000, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE)
        assert False, "zeroes that must be written are not fast"
    except nbd.Error as error:
        assert error.errno == "ENOTSUP", error
if h.can_trim():
    h.trim(8192, 900001)
    expected[900001:908193] = h.pread(8192, 900001)
h.flush()
assert h.pread(${SIZE}, 0) == expected
h.shutdown()`;
    await sandbox.run("/usr/bin/python3", ["-c", script]);

    const source = sandbox.path("source");
    writeFileSync(source, Buffer.concat([pattern(SIZE / 2, 3), Buffer.alloc(SIZE / 2)]));
    await sandbox.run("nbdcopy", ["--", source, "[", ...captive, "]"]);
    await sandbox.run("nbdcopy", ["--allocated", "--", source, "[", ...captive, "]"]);
    assert.is(await sha256(file), await sha256(source));
    await sandbox.run("umount", [folder]);
  });
}

/** Serves a block device, and says whether it can TRIM; zeroes of either kind are read as such. */
async function serveDevice(sandbox: Sandbox, device: string): Promise<boolean> {
  const captive = [process.execPath, program("nbd-serve"), "--writable", device, "-"];
  const script = `
import nbd
h = nbd.NBD()
h.connect_command(${JSON.stringify(captive)})
h.pwrite(b"x" * 65536, 0)
h.zero(4096, 4096)
h.zero(4096, 12288, nbd.CMD_FLAG_NO_HOLE)
h.zero(100, 30001)
h.flush()
expected = bytearray(b"x" * 65536)
for offset, length in ((4096, 4096), (12288, 4096), (30001, 100)):
    expected[offset:offset + length] = bytes(length)
assert h.pread(65536, 0) == expected
print(h.can_trim())
h.shutdown()`;
  return (await sandbox.run("/usr/bin/python3", ["-c", script])).trim() === "True";
}

tests("block devices: TRIM is offered where it comes to something", async ({ sandbox }) => {
  const disk = sandbox.path("disk");
  writeFileSync(disk, pattern(SIZE));
  const loop = (await sandbox.run("losetup", ["--find", "--show", disk])).trim();
  const can = await serveDevice(sandbox, loop);
  await sandbox.run("losetup", ["--detach", loop]);
  assert.ok(can);
  assert.not.ok(await serveDevice(sandbox, "/dev/ram0"));
});

tests("a block device of more bytes than a number holds is refused", async ({ sandbox }) => {
  await sandbox.run("dmsetup", ["create", "huge", "--noudevsync", "--table", `0 ${2 ** 45} zero`]);
  const info = ["info", "--columns", "--noheadings", "--options", "blkdevname", "huge"];
  const device = `/dev/${(await sandbox.run("dmsetup", info)).trim()}`;
  const running = sandbox.start(program("nbd-serve"), [device, "-"], { wire: true });
  assert.is(await within(60_000, "its end", running.exit), 1);
  await sandbox.run("dmsetup", ["remove", "huge"]);
  const reason = "it has 18014398509481984 bytes, and more than 9007199254740991 cannot be served";
  assert.is(running.stderr, `nbd-serve: opening ${device}: ${reason}\n`);
});

tests.run();
