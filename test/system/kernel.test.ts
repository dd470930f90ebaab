/** The kernel device, on a real kernel: each script under kernel/ is a suite that runs in a machine of its own. */
import { basename } from "node:path";
import { needing, suite } from "../harness.ts";
import { assertPassed, machineScripts, runInMachine } from "./kernel/machine.ts";
import { userModeLinux } from "./kernel/user-mode-linux.ts";

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

// One at a time: deadlines are tested.
for (const script of machineScripts("uml")) {
  test(script, async () => {
    assertPassed(await runInMachine(userModeLinux, script, { memory: memory[basename(script)] ?? 1024 }));
  });
}

tests.run();
