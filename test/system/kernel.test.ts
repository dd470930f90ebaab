/** The kernel device, on a real kernel: each script under kernel/ is a suite that runs in a machine of its own. */
import { basename } from "node:path";
import { needing, suite } from "../harness.ts";
import { besideChromium } from "./kernel/beside-chromium.ts";
import { assertPassed, type Machine, machineScripts, type Outcome, runInMachine } from "./kernel/machine.ts";
import { userModeLinux } from "./kernel/user-mode-linux.ts";

const tests = suite("the kernel device, in User-Mode Linux");

const PROGRAMS = [
  "linux.uml",
  "modprobe",
  "blkdiscard",
  "chromium",
  "dd",
  "debugfs",
  "dmsetup",
  "fio",
  "genisoimage",
  "ip",
  "losetup",
  "mdadm",
  "mkfs.ext2",
  "mkfs.ext3",
  "mkfs.ext4",
  "mkfs.vfat",
  "nbd-client",
  "nbdcopy",
  "nbdkit",
  "nbdsh",
  "setpriv",
  "sfdisk",
  "socat",
  "unshare",
  "websocketd",
];

/** The machine of a script that needs another than the others. */
const machines: Readonly<Record<string, Machine>> = { "browser.uml.ts": besideChromium };

/** Those that have deadlines, as websocketd sets one, and the machine for themselves. */
const ALONE = new Set(["browser.uml.ts", "ending.uml.ts"]);

const isAlone = (script: string) => ALONE.has(basename(script));
const outcomes = new Map<string, Promise<Outcome>>();

/** Runs scripts one after the other. */
async function runInTurn(scripts: readonly string[]) {
  for (const script of scripts) {
    const outcome = runInMachine(machines[basename(script)] ?? userModeLinux, script);
    outcomes.set(script, outcome);
    await outcome.catch(() => {});
  }
}

const test = needing(tests, PROGRAMS);
const scripts = machineScripts("uml");
if (test === tests) {
  // Beside the test files that come before this one, which use one processor for the most part.
  const others = runInTurn(scripts.filter((script) => !isAlone(script)));
  tests.before(async () => {
    await others;
    await runInTurn(scripts.filter(isAlone));
  });
}

for (const script of scripts) {
  test(script, async () => {
    assertPassed(await outcomes.get(script)!);
  });
}

tests.run();
