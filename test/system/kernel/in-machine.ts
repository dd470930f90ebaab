/**
 * Runs a suite on a real kernel, in a machine of its own: node --import tsx test/system/kernel/in-machine.ts FILE
 *
 * NAME.uml.ts runs in User-Mode Linux, NAME.qemu.ts in QEMU on two processors. test/run.mjs calls this for such files.
 */
import { basename } from "node:path";
import { needing, suite } from "../../harness.ts";
import { besideChromium } from "./beside-chromium.ts";
import { besideKilledServer } from "./beside-killed-server.ts";
import { emulator, isLinuxUnpacked } from "./emulator.ts";
import { type Machine, runInMachine } from "./machine.ts";
import { userModeLinux } from "./user-mode-linux.ts";

const EVERYWHERE = ["modprobe", "dd", "fio", "ip", "nbd-client", "nbdkit"];

const UML_PROGRAMS = [
  "linux.uml",
  ...["blkdiscard", "chromium", "debugfs", "dmsetup", "genisoimage", "losetup", "mdadm"],
  ...["mkfs.ext2", "mkfs.ext3", "mkfs.ext4", "mkfs.vfat", "nbdcopy", "nbdsh", "setpriv", "sfdisk"],
  ...["socat", "unshare", "websocketd"],
];
const QEMU_PROGRAMS = ["qemu-system-x86_64", "busybox", "taskset"];
const LINUX = "linux-image-amd64 (unpacked by .ci/unpack-linux)";

/** Suites with something beside the machine. */
const BESIDE: Readonly<Record<string, Machine>> = {
  "browser.uml.ts": besideChromium,
  "killed-server.uml.ts": besideKilledServer,
};

/** The machine that a file runs in, and what it needs. */
function machineOf(file: string): [Machine, readonly string[]] {
  if (file.endsWith(".qemu.ts")) return [emulator, [...QEMU_PROGRAMS, ...(isLinuxUnpacked() ? [] : [LINUX])]];
  return [BESIDE[basename(file)] ?? userModeLinux, UML_PROGRAMS];
}

/** Words of the environment that suites look at. */
const passedOn = () => ({ RESUME_SECONDS: process.env.RESUME_SECONDS ?? "" });

const [file = ""] = process.argv.slice(2);
if (!/\.(uml|qemu)\.ts$/.test(file)) throw new Error(`${file} is not a suite that runs in a machine`);
const [machine, programs] = machineOf(file);
const tests = suite(file);
const test = needing(tests, [...EVERYWHERE, ...programs]);
if (test === tests) {
  const { status, output } = await runInMachine(machine, file, { env: passedOn() });
  process.stdout.write(output);
  process.exitCode = status;
} else {
  test(file, () => {});
  tests.run();
}
