/**
 * Runs the tests and ends with one line, "N passed, N failed, N skipped". See test/README.md.
 *
 *     npm test                 the quick ones, NAME.test.ts
 *     npm test -- PATTERN      all files whose path matches
 *     npm run test:all         everything, with coverage
 *     node test/run.mjs --rest --coverage
 *                              what `npm test -- --coverage` has left out; adds that one's results and coverage
 *
 * Each file runs in a process of its own, some at the same time. With CI=true a skipped test is a failure.
 */
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildIfOutdated } from "./runner/build.mjs";
import * as coverage from "./runner/coverage.mjs";
import { endAll, isInMachine, runFile } from "./runner/run-file.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/** How many files run at the same time: one more than there are processors, as most of them wait now and then. */
const AT_ONCE = Math.min(availableParallelism(), 7) + 1;
/** Files that take the place of two: they use two processors, or have deadlines that a busy machine does not keep. */
const HEAVY = /\/fuzz\.slow\.test\.ts$|\.qemu\.ts$|\/kernel\/(browser|ending)\.uml\.ts$/;
/** How many of the slowest files are named at the end. */
const SLOWEST = 10;
/** Folders with tests of what was built. */
const OF_THE_BUILD = /^test\/(node|security|system|web)\//;

const { values, positionals } = parseArgs({
  options: { all: { type: "boolean" }, rest: { type: "boolean" }, coverage: { type: "boolean" } },
  allowPositionals: true,
});
const pattern = positionals[0] && new RegExp(positionals[0]);
const isSlow = (file) => file.endsWith(".slow.test.ts") || isInMachine(file);

function isWanted(file) {
  if (!file.endsWith(".test.ts") && !isInMachine(file)) return false;
  if (pattern) return pattern.test(file);
  return values.all || isSlow(file) === Boolean(values.rest);
}

/** Those that take longest come first, so that the others run beside them. */
const order = (file) => [isInMachine, isSlow, () => true].findIndex((isOfKind) => isOfKind(file));

const files = readdirSync("test", { recursive: true })
  .map((file) => join("test", file))
  .filter(isWanted)
  .sort((a, b) => order(a) - order(b) || (a < b ? -1 : 1));

const results = [];
if (values.coverage && values.rest) results.push(...coverage.kept());
else if (values.coverage) coverage.clear();

let isGivenUp = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, async () => {
    isGivenUp = true;
    await endAll(signal);
    process.exit(1);
  });
}

/** Runs a file, and prints its line, and what it wrote if it has failed. */
async function run(file) {
  const { output, fault, skips, ...result } = await runFile(
    file,
    values.coverage ? coverage.coverageEnv() : {},
  );
  results.push(result);
  const { seconds, passed, failed, skipped } = result;
  const what = failed > 0 ? "FAILED" : skipped > 0 ? `ok, ${skipped} skipped` : "ok";
  process.stdout.write(`${what.padEnd(7)} ${seconds.toFixed(1).padStart(6)} s  ${file}, ${passed} passed\n`);
  for (const line of skips) process.stdout.write(`${line}\n`);
  if (failed > 0) process.stdout.write(`${fault ? `${file}: ${fault}\n` : ""}${output}\n`);
}

/** Runs all, as many at the same time as there are places. */
async function runAll(queue) {
  const places = (file) => (HEAVY.test(file) ? 2 : 1);
  const running = new Map();
  let free = AT_ONCE;
  while ((queue.length > 0 || running.size > 0) && !isGivenUp) {
    const at = queue.findIndex((file) => places(file) <= free);
    if (at < 0) {
      await Promise.race(running.values());
      continue;
    }
    const [file] = queue.splice(at, 1);
    free -= places(file);
    const done = run(file).then(() => {
      running.delete(file);
      free += places(file);
    });
    running.set(file, done);
  }
}

const from = performance.now();
if (files.some((file) => OF_THE_BUILD.test(file))) buildIfOutdated();
await runAll([...files]);

const seconds = Math.round((performance.now() - from) / 1000);
const slowest = [...results].sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST);
process.stdout.write(`\nThe slowest of ${results.length} files; ${seconds} s for ${files.length}:\n`);
for (const { file, seconds } of slowest)
  process.stdout.write(`${seconds.toFixed(1).padStart(8)} s  ${file}\n`);

const isCounted = values.coverage && (values.all || values.rest);
if (values.coverage) coverage.keep(results);
const isEnough = !isCounted || coverage.report();

const sum = (name) => results.reduce((total, result) => total + result[name], 0);
const [passed, failed, skipped] = [sum("passed"), sum("failed"), sum("skipped")];
const broken = results.filter((result) => result.failed > 0).map(({ file }) => file);
if (broken.length > 0) process.stdout.write(`\nFailed: ${broken.join(", ")}\n`);
if (files.length === 0) process.stdout.write("\nNo test file matches\n");
process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
const isFine = passed > 0 && failed === 0 && isEnough && !(process.env.CI === "true" && skipped > 0);
process.exit(isFine && !isGivenUp ? 0 : 1);
