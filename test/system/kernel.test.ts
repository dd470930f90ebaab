/** The kernel device, on a real kernel: each script under kernel/ is a suite that runs in a machine of its own. */
import { basename } from "node:path";
import { needing, suite } from "../harness.ts";
import { besideChromium } from "./kernel/beside-chromium.ts";
import { assertPassed, type Machine, machineScripts, runInMachine } from "./kernel/machine.ts";
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
  "socat",
  "unshare",
  "websocketd",
];

/** The machine of a script that needs another than the others. */
const machines: Readonly<Record<string, Machine>> = { "browser.uml.ts": besideChromium };

const test = needing(tests, PROGRAMS);

// One at a time: deadlines are tested.
for (const script of machineScripts("uml")) {
  test(script, async () => {
    assertPassed(await runInMachine(machines[basename(script)] ?? userModeLinux, script));
  });
}

tests.run();
