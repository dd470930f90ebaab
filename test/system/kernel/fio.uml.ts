/** Runs in User-Mode Linux: see machine.ts. */
import { truncateSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { Sandbox, suite, within } from "../../harness.ts";
import { throughGateway } from "../link.ts";
import { assertQuietKernel, free, onDevice } from "./guest.ts";

const tests = suite<{ sandbox: Sandbox }>("fio on a kernel device");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

interface Job {
  error: number;
  read: { total_ios: number };
  write: { total_ios: number };
}

for (const connections of [1, 4]) {
  tests(`writes, reads back and verifies, with ${connections} sockets`, async ({ sandbox }) => {
    const image = sandbox.path("disk.img");
    writeFileSync(image, "");
    truncateSync(image, 64 << 20);
    const keys = onDevice(0, { connections });
    const { gateway } = await throughGateway(sandbox, image, { writable: true, keys });
    const runs = [
      { rw: "randwrite", bs: "4k", iodepth: 32, size: "4m", direct: 1 },
      { rw: "randwrite", bs: "4k", iodepth: 1, size: "512k", direct: 1 },
      { rw: "write", bs: "1m", iodepth: 8, size: "48m", direct: 1 },
      { rw: "randrw", bs: "64k", iodepth: 16, size: "16m", direct: 1 },
      { rw: "write", bs: "128k", iodepth: 4, size: "32m", direct: 0 },
      { rw: "randwrite", bs: "4k", iodepth: 32, size: "8m", direct: 0 },
    ];
    for (const { rw, bs, iodepth, size, direct } of runs) {
      const output = await sandbox.run("fio", [
        "--name=verify",
        "--filename=/dev/nbd0",
        `--ioengine=${direct ? "libaio" : "psync"}`,
        `--rw=${rw}`,
        `--bs=${bs}`,
        `--iodepth=${iodepth}`,
        `--size=${size}`,
        `--direct=${direct}`,
        "--verify=crc32c",
        "--verify_fatal=1",
        "--end_fsync=1",
        "--fsync=64",
        "--output-format=json",
      ]);
      const { jobs } = JSON.parse(output.slice(output.indexOf("{"))) as { jobs: Job[] };
      assert.is(jobs[0]!.error, 0);
      assert.ok(
        jobs[0]!.write.total_ios > 0 && jobs[0]!.read.total_ios > 0,
        `${rw} ${bs}: it wrote and read back`,
      );
    }
    gateway.kill();
    assert.is(await within(20_000, "the gateway's end", gateway.exit), 0, gateway.stderr);
    await free();
    assertQuietKernel();
  });
}

tests.run();
