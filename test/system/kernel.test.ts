/** The kernel device, on a real kernel: each script under kernel/ is a suite that runs in a machine of its own. */
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { needing, suite } from "../harness.ts";
import { assertPassed, machineScripts, type Outcome, runInMachine } from "./kernel/machine.ts";
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

/** Starts all scripts, as many at a time as there are processors, and gives the outcome of each. */
function runAll(scripts: readonly string[]): Map<string, Promise<Outcome>> {
  const lanes: Promise<unknown>[] = Array.from({ length: availableParallelism() }, () => Promise.resolve());
  return new Map(
    scripts.map((script, i) => {
      const lane = i % lanes.length;
      const outcome = lanes[lane]!.then(() =>
        runInMachine(userModeLinux, script, { memory: memory[basename(script)] ?? 1024 }),
      );
      lanes[lane] = outcome.catch(() => {});
      return [script, outcome];
    }),
  );
}

let outcomes = new Map<string, Promise<Outcome>>();
const test = needing(tests, PROGRAMS);
if (test === tests) {
  tests.before(() => {
    outcomes = runAll(machineScripts("uml"));
  });
}

for (const script of machineScripts("uml")) {
  test(script, async () => {
    assertPassed(await outcomes.get(script)!);
  });
}

tests.run();
