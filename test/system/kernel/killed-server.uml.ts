/** Runs in User-Mode Linux with a server beside it that is killed every 3 s: see beside-killed-server.ts. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { Sandbox, suite, until, within } from "../../harness.ts";
import { attached, sha256, startGateway } from "../link.ts";
import { joinNetwork, NETWORK } from "./beside.ts";
import { FILES } from "./beside-killed-server.ts";
import { assertNoErrors, free, hookCalls, onDevice, writeHook } from "./guest.ts";

const tests = suite<{ sandbox: Sandbox }>("a kernel device whose server is killed");

tests.before(joinNetwork);
tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => {
  spawnSync("umount", ["--lazy", sandbox.path("mnt")], { stdio: "ignore" });
  return sandbox.end();
});

const outside = (name: string) => join(process.env.OUTSIDE!, name);

tests(
  "a file system is whole, though all that was not flushed may be lost at each kill",
  async ({ sandbox }) => {
    writeHook(sandbox);
    const keys = onDevice(0, { resume: 120 });
    const gateway = await startGateway(sandbox, keys, { host: NETWORK.loopback });
    await until("the image is there", () => existsSync(outside(FILES.image)), 60_000);
    writeFileSync(outside(FILES.url), gateway.url);
    await attached(gateway);
    const mountpoint = sandbox.path("mnt");
    mkdirSync(mountpoint);
    await sandbox.run("mkfs.ext4", ["-q", "/dev/nbd0"]);
    await sandbox.run("mount", ["/dev/nbd0", mountpoint]);
    // Half of it past the page cache; each file is flushed now and then, and verified in the end.
    const fio = sandbox.start("fio", [
      ...[`--directory=${mountpoint}`, "--size=3m", "--bs=4k", "--randseed=1", "--rate_iops=2000,60"],
      ...["--verify=crc32c", "--verify_fatal=1", "--end_fsync=1", "--fsync=200"],
      ...["--name=direct", "--rw=randwrite", "--ioengine=libaio", "--direct=1", "--iodepth=8"],
      ...["--name=buffered", "--rw=randwrite", "--ioengine=psync"],
    ]);
    assert.is(await within(180_000, "fio", fio.exit), 0, `${fio.stdout}${fio.stderr}`);
    await sandbox.run("umount", [mountpoint]);
    writeFileSync(outside(FILES.stay), "");
    await until("the server stays", () => existsSync(outside(FILES.kills)), 60_000);
    const kills = Number(readFileSync(outside(FILES.kills), "utf8"));
    assert.ok(kills >= 3, `${kills} kills`);
    await sandbox.run("e2fsck", ["-fn", "/dev/nbd0"]);
    // What the kernel has kept of the device is not what the server has.
    await sandbox.run("blockdev", ["--flushbufs", "/dev/nbd0"]);
    const seen = await sha256("/dev/nbd0");
    gateway.kill("SIGTERM");
    assert.is(await within(60_000, "the gateway's end", gateway.exit), 0, gateway.stderr);
    await free();
    assert.is(await sha256(outside(FILES.image)), seen);
    assert.equal(hookCalls(sandbox), ["start local", "stop local"]);
    assert.not.match(gateway.stderr, /may be lost/);
    assertNoErrors();
  },
);

tests.run();
