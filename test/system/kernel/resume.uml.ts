/** Runs in User-Mode Linux: see machine.ts. */
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { Sandbox, suite, within } from "../../harness.ts";
import { sha256 } from "../link.ts";
import { throughRelay } from "../resume/through-relay.ts";
import type { UnreliableRelay } from "../resume/unreliable-relay.ts";
import { assertQuietKernel, deviceState, free, hookCalls, kernelLog, onDevice, writeHook } from "./guest.ts";

const tests = suite<{ sandbox: Sandbox }>("a kernel device whose link is lost");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

/** Seconds without an answer after which a link is lost. */
const TIMEOUT = 3;

/** Lines of the kernel's log when a device, or a file system on it, has met an error. */
const ERRORS = /I\/O error|EXT4-fs (error|warning)|Connection timed out|JBD2: Error/;

function assertNoErrors(): void {
  const lines = kernelLog().split("\n");
  assert.equal(
    lines.filter((line) => ERRORS.test(line)),
    [],
  );
  assertQuietKernel();
}

/** Ends all connections every two seconds. */
async function cut(relay: UnreliableRelay, signal: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(2000, undefined, { signal });
    relay.cut();
  }
}

/** Has a network that drops everything, for longer than a request may take, and one that works for a while, in turn. */
async function goSilent(relay: UnreliableRelay, signal: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(4000, undefined, { signal });
    relay.isBlackHole = true;
    relay.silence();
    await sleep((TIMEOUT + 6) * 1000, undefined, { signal });
    relay.isBlackHole = false;
  }
}

for (const [what, spoil, least] of [
  ["cut every 2 s", cut, 5],
  ["silent for longer than the timeout", goSilent, 2],
] as const) {
  for (const connections of what === "cut every 2 s" ? [1, 4] : [1]) {
    tests(`${what}, with ${connections} sockets: fio on an ext4 sees no error`, async ({ sandbox }) => {
      const [image, mountpoint] = [sandbox.path("disk.img"), sandbox.path("mnt")];
      writeFileSync(image, "");
      truncateSync(image, 48 << 20);
      mkdirSync(mountpoint);
      writeHook(sandbox);
      const keys = onDevice(0, { connections, timeout: TIMEOUT, resume: 120 });
      const { gateway, relay } = await throughRelay(sandbox, image, { writable: true, keys });
      await sandbox.run("mkfs.ext4", ["-q", "/dev/nbd0"]);
      await sandbox.run("mount", ["/dev/nbd0", mountpoint]);

      const over = new AbortController();
      const spoiling = spoil(relay, over.signal).catch(() => {});
      const output = await sandbox.run("fio", [
        ...["--name=verify", `--directory=${mountpoint}`, "--size=5m", "--ioengine=libaio", "--direct=1"],
        ...["--rw=randrw", "--bssplit=4k/80:64k/20", "--iodepth=8", "--rate_iops=40,40", "--fsync=50"],
        ...["--verify=crc32c", "--verify_fatal=1", "--end_fsync=1", "--output-format=json"],
      ]);
      over.abort();
      await spoiling;
      relay.isBlackHole = false;
      const { jobs } = JSON.parse(output.slice(output.indexOf("{"))) as { jobs: { error: number }[] };
      assert.is(jobs[0]!.error, 0);
      const backs = gateway.stderr.match(/the link is back/g)?.length ?? 0;
      assert.ok(backs >= least, `the link was back ${backs} times\n${gateway.stderr}`);

      await sandbox.run("umount", [mountpoint]);
      await sandbox.run("e2fsck", ["-fn", "/dev/nbd0"]);
      assert.is(await sha256("/dev/nbd0"), await sha256(image));
      assert.is(deviceState().pid, gateway.pid);
      gateway.kill();
      assert.is(await within(20_000, "the gateway's end", gateway.exit), 0, gateway.stderr);
      await free();
      assert.equal(hookCalls(sandbox), ["start local", "stop local"]);
      assertNoErrors();
    });
  }
}

tests.run();
