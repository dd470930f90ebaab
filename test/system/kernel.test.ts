/** The kernel device, on a real kernel: each script under kernel/ is a suite that runs in a machine of its own. */
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { deferred } from "../../src/streams/deferred.ts";
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
  "fio",
  "genisoimage",
  "ip",
  "mkfs.ext4",
  "nbd-client",
  "nbdkit",
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

/** Begins with all of them, as many at a time as there are processors; gives each one's outcome. */
function runAll(scripts: readonly string[]): Map<string, Promise<Outcome>> {
  const outcomes = new Map(scripts.map((script) => [script, deferred<Outcome>()]));
  const all = [...outcomes];
  const isAlone = ([script]: (typeof all)[number]) => ALONE.has(basename(script));
  const waiting = all.filter((entry) => !isAlone(entry));
  const run = ([script, { resolve, reject }]: (typeof all)[number]) =>
    runInMachine(machines[basename(script)] ?? userModeLinux, script).then(resolve, reject);
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await run(next);
  };
  const begin = async () => {
    for (const entry of all.filter(isAlone)) await run(entry);
    for (let i = 0; i < availableParallelism(); i++) lane();
  };
  begin();
  return new Map([...outcomes].map(([script, { promise }]) => [script, promise]));
}

const test = needing(tests, PROGRAMS);
const scripts = machineScripts("uml");
let outcomes = new Map<string, Promise<Outcome>>();
if (test === tests) {
  tests.before(() => {
    outcomes = runAll(scripts);
  });
}

for (const script of scripts) {
  test(script, async () => {
    assertPassed(await outcomes.get(script)!);
  });
}

tests.run();
