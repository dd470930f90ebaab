/** The kernel device, on a real kernel: each script under kernel/ is a suite that runs in a machine of its own. */
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import * as assert from "uvu/assert";
import { needing, suite } from "../harness.ts";
import { machineScripts, type Outcome, runInMachine } from "./kernel/machine.ts";

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
        runInMachine(script, { memory: memory[basename(script)] ?? 1024 }),
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
    outcomes = runAll(machineScripts());
  });
}

for (const script of machineScripts()) {
  test(script, async () => {
    const { status, output } = await outcomes.get(script)!;
    const [total, passed, skipped] = ["Total", "Passed", "Skipped"].map((name) =>
      Number(new RegExp(`^\\s*${name}:\\s+(\\d+)`, "m").exec(output)?.[1] ?? 0),
    );
    assert.ok(status === 0 && total! > 0 && passed === total && skipped === 0, `\n${output}`);
  });
}

tests.run();
