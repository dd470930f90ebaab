/** The kernel device on a machine with two processors: each script under kernel/ runs in one of its own. */
import { needing, suite } from "../harness.ts";
import { emulator, isLinuxUnpacked } from "./kernel/emulator.ts";
import { assertPassed, machineScripts, runInMachine } from "./kernel/machine.ts";

const tests = suite("the kernel device, on two processors");

const PROGRAMS = [
  "qemu-system-x86_64",
  "busybox",
  "modprobe",
  "dd",
  "fio",
  "ip",
  "nbd-client",
  "nbdkit",
  "taskset",
];
const UNPACKED = "linux-image-amd64 (unpacked by .ci/unpack-linux)";

const test = needing(tests, isLinuxUnpacked() ? PROGRAMS : [...PROGRAMS, UNPACKED]);

for (const script of machineScripts("qemu")) {
  test(script, async () => {
    // Coverage is taken of sources, and a bundle runs there.
    assertPassed(await runInMachine(emulator, script, { env: { NODE_V8_COVERAGE: "" } }));
  });
}

tests.run();
