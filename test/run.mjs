/**
 * Runs the tests and ends with one line, "N passed, N failed, N skipped".
 *
 *     npm test                 all but the slow ones, which are the files NAME.slow.test.ts
 *     npm test -- PATTERN      the files whose path matches, slow ones too
 *     npm run test:all         everything, with coverage
 *     npm run test:all -- --slow   the slow ones only
 *
 * Each file runs in a process of its own, quick ones two at a time. With CI=true a skipped test is a failure.
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/** How many quick files run at the same time. A slow one runs alone, as it may wait for what is slow itself. */
const AT_ONCE = 2;
/** What takes longest, begun first so that the others run beside it. */
const FIRST = ["test/system/kernel.test.ts", "test/fuzz/fuzz.test.ts"];
/** Minutes after which a file that hangs is ended. */
const FILE_MINUTES = 25;
/** Milliseconds that a file's process has to end by itself once its tests are over: what keeps it was left open. */
const LEAVING_TIME = 60_000;
/** How many of the slowest files are named at the end. */
const SLOWEST = 10;

const { values, positionals } = parseArgs({
  options: { all: { type: "boolean" }, slow: { type: "boolean" }, coverage: { type: "boolean" } },
  allowPositionals: true,
});
const pattern = positionals[0] && new RegExp(positionals[0]);
const isSlow = (file) => file.endsWith(".slow.test.ts");

function isWanted(file) {
  if (!file.endsWith(".test.ts")) return false;
  if (pattern) return pattern.test(file);
  return values.slow ? isSlow(file) : values.all || !isSlow(file);
}

const files = readdirSync("test", { recursive: true })
  .map((file) => join("test", file))
  .filter(isWanted)
  .sort();

if (values.coverage && !process.env.NODE_V8_COVERAGE) process.exit(await withCoverage());

/** Runs this once more under c8, which counts what the tests reach, and says whether that is enough. */
async function withCoverage() {
  // What talks to the kernel runs in machines of its own, from the build: there is nothing to count here.
  const counted = ["--include", "src/**/*.ts", "--exclude", "src/node/kernel/**"];
  const enough = ["--check-coverage", "--lines", "90", "--branches", "85", "--functions", "85"];
  const protocol = ["--include", "src/nbd/**", "--check-coverage", "--lines", "98", "--branches", "95"];
  const ran = await c8([...counted, "--reporter", "none", process.execPath, ...process.argv.slice(1)]);
  const all = await c8(["report", ...counted, "--reporter", "text", ...enough]);
  const ofProtocol = await c8(["report", ...protocol, "--reporter", "text-summary"]);
  if (all.status || ofProtocol.status) process.stdout.write("\nToo little is covered\n");
  // The last word is how many tests did what.
  process.stdout.write(
    `\n${/^\d+ passed, \d+ failed, \d+ skipped$/m.exec(ran.end)?.[0] ?? "0 passed, 1 failed, 0 skipped"}\n`,
  );
  return ran.status || all.status || ofProtocol.status;
}

/** Runs c8; gives its exit status and the end of what it wrote. */
function c8(args) {
  const child = spawn("node_modules/.bin/c8", args, { stdio: ["ignore", "pipe", "inherit"] });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  let end = "";
  child.stdout.on("data", (chunk) => {
    process.stdout.write(chunk);
    end = (end + chunk).slice(-1000);
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ status: code ?? 1, end })));
}

const running = new Set();
const results = [];
let isGivenUp = false;

/** Ends a file's process and what it started; a signal lets it end browsers, which have groups of their own. */
function end(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended just now.
  }
}

function giveUp(signal) {
  isGivenUp = true;
  for (const child of running) end(child, signal);
  setTimeout(() => {
    for (const child of running) end(child, "SIGKILL");
    process.exit(1);
  }, 3000);
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, giveUp);

/** Runs one file, and prints what it wrote when it has ended. */
function run(file) {
  const from = performance.now();
  const child = spawn(process.execPath, ["--import", "tsx", file], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
    detached: true,
  });
  running.add(child);
  let output = "";
  let fault;
  let leaving;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      output += chunk;
      clearTimeout(leaving);
      // The last line of all; machines that tests start have such lines too, and more behind them.
      if (!/\n {2}Duration: .*\s*$/.test(output.slice(-100))) return;
      leaving = setTimeout(() => {
        fault = "its process did not end by itself when its tests were over";
        end(child, "SIGKILL");
      }, LEAVING_TIME);
    });
  }
  const patience = setTimeout(() => {
    fault = `it took more than ${FILE_MINUTES} minutes`;
    end(child, "SIGTERM");
    setTimeout(end, 3000, child, "SIGKILL");
  }, FILE_MINUTES * 60_000);
  return new Promise((resolve) => {
    // Not "close": whoever left the process group may hold the output open.
    child.once("exit", (code, signal) => {
      clearTimeout(patience);
      clearTimeout(leaving);
      running.delete(child);
      setTimeout(() => {
        const seconds = (performance.now() - from) / 1000;
        resolve(summarize(file, output, seconds, fault ?? (signal && `it was ended by ${signal}`), code));
      }, 20);
    });
  });
}

/** What uvu says of a file at its end. */
function summarize(file, output, seconds, fault, code) {
  // The last figures: what a machine of the tests says at its end has some too.
  const figure = (name) =>
    Number([...output.matchAll(new RegExp(`^\\s*${name}:\\s+(\\d+)`, "gm"))].at(-1)?.[1] ?? 0);
  const [total, passed, skipped] = [figure("Total"), figure("Passed"), figure("Skipped")];
  let failed = total - passed;
  // A file that ends without a word about its tests, or with a failure outside of them, has failed.
  if (failed === 0 && (fault || code !== 0 || total + skipped === 0)) failed = 1;
  const result = { file, seconds, passed, failed, skipped };
  results.push(result);
  const what = failed > 0 ? "FAILED" : skipped > 0 ? `ok, ${skipped} skipped` : "ok";
  process.stdout.write(`${what.padEnd(7)} ${seconds.toFixed(1).padStart(6)} s  ${file}, ${passed} passed\n`);
  const skips = output.split("\n").filter((line) => line.startsWith("skipped: "));
  if (failed > 0) process.stdout.write(`${output}${fault ? `\n${file}: ${fault}\n` : ""}\n`);
  else for (const line of skips) process.stdout.write(`${line}\n`);
  return result;
}

/** Takes files off a list, one after the other. */
async function runAll(queue) {
  for (let file = queue.shift(); file && !isGivenUp; file = queue.shift()) await run(file);
}

const from = performance.now();
const isFirst = (file) => FIRST.includes(file);
const quick = files.filter((file) => !isSlow(file));
quick.sort((a, b) => Number(isFirst(b)) - Number(isFirst(a)));
await Promise.all(Array.from({ length: AT_ONCE }, () => runAll(quick)));
await runAll(files.filter(isSlow));

const sum = (name) => results.reduce((total, result) => total + result[name], 0);
const [passed, failed, skipped] = [sum("passed"), sum("failed"), sum("skipped")];
process.stdout.write(
  `\nThe slowest of ${results.length} files, ${Math.round((performance.now() - from) / 1000)} s in all:\n`,
);
for (const { file, seconds } of results.sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST)) {
  process.stdout.write(`${seconds.toFixed(1).padStart(8)} s  ${file}\n`);
}
const broken = results.filter((result) => result.failed > 0).map(({ file }) => file);
if (broken.length > 0) process.stdout.write(`\nFailed: ${broken.join(", ")}\n`);
if (files.length === 0) process.stdout.write("\nNo test file matches\n");
process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
const isFine = passed > 0 && failed === 0 && !(process.env.CI === "true" && skipped > 0);
process.exit(isFine && !isGivenUp ? 0 : 1);
