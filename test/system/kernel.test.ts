/** The kernel device, on a real kernel: each script under kernel/ is a suite that runs in a machine of its own. */
import { basename } from "node:path";
import * as assert from "uvu/assert";
import { needing, suite } from "../harness.ts";
import { machineScripts, runInMachine } from "./kernel/machine.ts";

const tests = suite("the kernel device, in User-Mode Linux");

const PROGRAMS = [
  "linux.uml",
  "modprobe",
  "chromium",
  "dd",
  "debugfs",
  "fio",
  "genisoimage",
  "ip",
  "mkfs.ext4",
  "nbd-client",
  "nbdkit",
  "sfdisk",
  "websocketd",
];

/** MiB, where a script needs more than others. */
const memory: Readonly<Record<string, number>> = { "browser.uml.ts": 4096 };

const test = needing(tests, PROGRAMS);

for (const script of machineScripts()) {
  test(script, async () => {
    const { status, output } = await runInMachine(script, { memory: memory[basename(script)] ?? 1024 });
    const [total, passed, skipped] = ["Total", "Passed", "Skipped"].map((name) =>
      Number(new RegExp(`^\\s*${name}:\\s+(\\d+)`, "m").exec(output)?.[1] ?? 0),
    );
    assert.ok(status === 0 && total! > 0 && passed === total && skipped === 0, `\n${output}`);
  });
}

tests.run();
