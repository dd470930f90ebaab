/** Runs in User-Mode Linux: see machine.ts. RESUME_SECONDS has each test go on for so long. */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { Sandbox, suite, within } from "../../harness.ts";
import { sha256 } from "../link.ts";
import { loadWhile } from "../resume/load-while.ts";
import { cutEvery, type Spoil, silentFor } from "../resume/spoiled-link.ts";
import { throughRelay } from "../resume/through-relay.ts";
import { assertNoErrors, deviceState, free, hookCalls, onDevice, writeHook } from "./guest.ts";

const tests = suite<{ sandbox: Sandbox }>("a kernel device whose link is lost");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

/** Seconds without an answer after which a link is lost, and for which the disk waits for another one. */
const TIMEOUT = 3;
const RESUME = 120;

/** Seconds that the kernel waits beyond both. */
const NET = 5;

interface Trouble {
  what: string;
  spoil: Spoil;
  /** How often the link is lost, and there again, at least. */
  least: number;
  connections: number;
  /** What each run of fio writes. */
  size: string;
}

/** Milliseconds for which the network drops everything: longer than a request may take, and than an attempt to connect. */
const HOLES = [(TIMEOUT + NET + 1) * 1000, 17_000];

const TROUBLES: readonly Trouble[] = [
  { what: "cut every 2 s", spoil: cutEvery(2000), least: 5, connections: 1, size: "2m" },
  { what: "cut every 2 s, with 4 sockets", spoil: cutEvery(2000), least: 3, connections: 4, size: "1m" },
  {
    what: "silent for longer than the timeout",
    spoil: silentFor(...HOLES),
    least: 2,
    connections: 1,
    size: "1m",
  },
];

for (const { what, spoil, least, connections, size } of TROUBLES) {
  tests(`${what}: fio on an ext4 sees no error`, async ({ sandbox }) => {
    const [image, mountpoint] = [sandbox.path("disk.img"), sandbox.path("mnt")];
    writeFileSync(image, "");
    truncateSync(image, 48 << 20);
    mkdirSync(mountpoint);
    writeHook(sandbox);
    const keys = onDevice(0, { connections, timeout: TIMEOUT, resume: RESUME });
    const { gateway, relay } = await throughRelay(sandbox, image, { writable: true, keys });
    const net = readFileSync("/sys/block/nbd0/queue/io_timeout", "utf8").trim();
    assert.is(net, `${1000 * (TIMEOUT + RESUME + NET)}`);
    await sandbox.run("mkfs.ext4", ["-q", "/dev/nbd0"]);
    await sandbox.run("mount", ["/dev/nbd0", mountpoint]);

    const load = [`--directory=${mountpoint}`, "--ioengine=libaio", "--direct=1", "--rate_iops=40,40"];
    await loadWhile(sandbox, { gateway, relay }, { spoil, least, load: [...load, `--size=${size}`] });

    await sandbox.run("umount", [mountpoint]);
    await sandbox.run("e2fsck", ["-fn", "/dev/nbd0"]);
    // What the kernel has kept of the device is not what the server has.
    await sandbox.run("blockdev", ["--flushbufs", "/dev/nbd0"]);
    assert.is(await sha256("/dev/nbd0"), await sha256(image));
    assert.is(deviceState().pid, gateway.pid);
    gateway.kill();
    assert.is(await within(20_000, "the gateway's end", gateway.exit), 0, gateway.stderr);
    await free();
    assert.equal(hookCalls(sandbox), ["start local", "stop local"]);
    assertNoErrors();
  });
}

tests.run();
