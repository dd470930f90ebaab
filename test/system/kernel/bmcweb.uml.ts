/** Runs in User-Mode Linux: see machine.ts. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { startBmcwebRelay } from "../../bmcweb-relay.ts";
import { Sandbox, suite, until, within } from "../../harness.ts";
import { servers, untilAttached } from "../bmcweb-scene.ts";
import { sha256 } from "../link.ts";
import { assertQuietKernel, deviceState, free, hookCalls, writeHook } from "./guest.ts";

const tests = suite("a kernel device under a relay like bmcweb's");

/** Seconds in which the relay has its process back. In 30 a request without an answer would have failed. */
const SOON = 20;

tests(
  "the file of OpenBMC, a hook that mounts, the end, a page that vanishes while it is read, and again at once",
  async () => {
    const sandbox = new Sandbox();
    try {
      const image = sandbox.path("disk.img");
      writeFileSync(image, "");
      truncateSync(image, 64 << 20);
      await sandbox.run("mkfs.ext2", ["-q", "-F", image]);
      const mounted = sandbox.path("mounted");
      mkdirSync(mounted);
      // Where the test has failed before the hook's stop.
      sandbox.onEnd(() => spawnSync("umount", ["--lazy", mounted]));
      // What a hook may do that has more to undo.
      const isRead = sandbox.path("is-read");
      const read = `[ -e ${isRead} ] && dd if=/dev/nbd0 of=/dev/null bs=4k skip=9999 count=1 iflag=direct`;
      writeHook(
        sandbox,
        `[ "$1" = start ] && mount -o ro /dev/nbd0 ${mounted} || { umount ${mounted}; ${read}; }`,
      );
      const device = (number: number, description: string) => ({
        "nbd-device": `/dev/nbd${number}`,
        metadata: { description },
      });
      const configurations = { "0": device(0, "Virtual media device"), "1": device(1, "Dump Offload") };
      const file = { timeout: 30, "state-hook": sandbox.path("state"), configurations };
      writeFileSync(sandbox.path("config.json"), JSON.stringify(file));
      const relay = await startBmcwebRelay(sandbox, sandbox.path("config.json"));
      const serve = () => servers["a first-generation server"]!(sandbox, image, relay.endpoint);

      const first = await serve();
      await untilAttached(relay);
      assert.is(deviceState().size, 64 << 20);
      await until("it is mounted", () => readFileSync("/proc/mounts", "utf8").includes(mounted));
      const copy = sandbox.path("copy.img");
      await sandbox.run("dd", ["if=/dev/nbd0", `of=${copy}`, "bs=1M"]);
      assert.is(await sha256(copy), await sha256(image));
      await first.end();
      const ended = await relay.ended();
      assert.equal(
        [ended.status, ended.overruns, ended.spoiled, ended.waited],
        [0, 0, 0, 0],
        JSON.stringify(ended),
      );
      assert.ok(ended.seconds < SOON, `${ended.seconds} s`);
      await free();

      const second = await serve();
      await untilAttached(relay);
      second.freeze!();
      writeFileSync(isRead, "");
      const dd = sandbox.start("dd", ["if=/dev/nbd0", "of=/dev/null", "bs=1M", "iflag=direct"]);
      await until("reads are outstanding", () =>
        /[1-9]/.test(readFileSync("/sys/block/nbd0/inflight", "utf8")),
      );
      second.kill!();
      const vanished = await relay.ended();
      assert.is(vanished.status, 1, "reads were lost");
      assert.ok(vanished.seconds < SOON, `${vanished.seconds} s`);
      assert.is(await within(20_000, "the end of dd", dd.exit), 1);
      await free();

      rmSync(isRead);
      const third = await serve();
      await untilAttached(relay);
      await third.end();
      assert.is((await relay.ended()).status, 0);
      await free();
      assert.equal(hookCalls(sandbox), ["start 0", "stop 0", "start 0", "stop 0", "start 0", "stop 0"]);
      assertQuietKernel();
    } finally {
      await sandbox.end();
    }
  },
);

tests.run();
