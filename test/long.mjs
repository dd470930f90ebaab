/**
 * What takes long by its nature, some 130 minutes, one thing after the other: npm run test:long
 *
 * Ends with one line, "N passed, N failed, N skipped". Needs the build and what .ci/run installs.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { buildIfOutdated } from "./runner/build.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/** Each fails where its exit status is not 0. */
const runs = [
  {
    what: "ten minutes of fuzzing for each target",
    script: "test/fuzz/run.ts",
    env: { FUZZ_SECONDS: "600" },
  },
  {
    what: "a quarter of an hour of attacks where there is a login",
    script: "test/security/siege.ts",
    args: ["15"],
    needs: ["nbdcopy", "fio"],
  },
  {
    what: "a quarter of an hour of attacks where there is no login",
    script: "test/security/siege.ts",
    args: ["15", "--no-auth"],
    needs: ["nbdcopy", "fio"],
  },
  {
    what: "10,000 random histories of a disk whose links are cut",
    script: "test/export/resume/resume.property.test.ts",
    env: { RESUME_RUNS: "10000" },
  },
  {
    what: "ten minutes of cuts and black holes below a kernel device",
    script: "test/system/kernel/in-machine.ts",
    args: ["test/system/kernel/resume.uml.ts"],
    env: { RESUME_SECONDS: "300" },
    needs: ["linux.uml", "fio", "mkfs.ext4"],
  },
  {
    what: "ten minutes of cuts and black holes below a socket",
    script: "test/system/resume/lost-under-load.slow.test.ts",
    env: { RESUME_SECONDS: "300" },
    needs: ["fio", "nbdcopy"],
  },
  {
    what: "some twenty minutes of random reads through a relay that does not push back",
    script: "test/system/bmcweb.slow.test.ts",
    env: { BMCWEB_READS: "40000" },
    needs: ["chromium", "nbdcopy", "nbdsh"],
  },
  { what: "10 GiB through the gateway", script: "test/bench/memory.ts", needs: ["nbdcopy"] },
  {
    what: "ten minutes of a server that is killed every three seconds",
    script: "test/system/resume/killed-under-load.slow.test.ts",
    env: { KILLED_ROUNDS: "72" },
    needs: ["fio", "nbdcopy"],
  },
  {
    what: "10 GiB through nbd-proxy",
    script: "test/bench/memory.ts",
    args: ["10", "proxy"],
    needs: ["nbdcopy", "websocketd"],
  },
];

const isThere = (program) =>
  spawnSync("sh", ["-c", 'command -v "$0"', program], { stdio: "ignore" }).status === 0;

buildIfOutdated();
const count = { passed: 0, failed: 0, skipped: 0 };
for (const { what, script, args = [], env = {}, needs = [] } of runs) {
  const missing = needs.filter((program) => !isThere(program));
  if (missing.length > 0) {
    count.skipped++;
    process.stdout.write(`skipped: ${what}: needs ${missing.join(" and ")}\n`);
    continue;
  }
  process.stdout.write(`${what}: ${script}\n`);
  const from = performance.now();
  const { status, signal } = spawnSync(process.execPath, ["--import", "tsx", script, ...args], {
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  const seconds = Math.round((performance.now() - from) / 1000);
  count[status === 0 ? "passed" : "failed"]++;
  process.stdout.write(`${status === 0 ? "ok" : `FAILED (${signal ?? status})`}, ${seconds} s: ${what}\n`);
  if (signal) break;
}
process.stdout.write(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
process.exitCode = count.failed > 0 ? 1 : 0;
