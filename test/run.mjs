/**
 * Runs the tests with coverage and ends with one line, "N passed, N failed, N skipped". With CI=true a skipped
 * test is a failure. `npm test -- PATTERN` runs the test files whose path matches, without coverage thresholds.
 */
import { spawn, spawnSync } from "node:child_process";

/** A test that hangs must not hold up CI for ever. */
const MINUTES = 40;

const pattern = process.argv[2];
const thresholds = ["--check-coverage", "--lines", "90", "--branches", "85", "--functions", "85"];
const coverage = pattern ? ["--reporter", "none"] : ["--reporter", "text", ...thresholds];
const files = pattern ? `^(?=.*(?:${pattern})).*\\.test\\.ts$` : "\\.test\\.ts$";
const uvu = ["--import", "tsx", "node_modules/uvu/bin.js", "test", files];

/** The protocol has thresholds of its own, over the same figures. */
const protocol = ["--include", "src/nbd/**", "--check-coverage", "--lines", "98", "--branches", "95"];

/** What talks to the kernel runs in machines of its own, from the build: there is nothing to count here. */
const counted = ["--include", "src/**/*.ts", "--exclude", "src/node/kernel/**"];

const child = spawn("node_modules/.bin/c8", [...counted, ...coverage, process.execPath, ...uvu], {
  stdio: ["ignore", "pipe", "inherit"],
  env: { ...process.env, NO_COLOR: "1" },
  // A process group of its own: the tests, and what they started, end with c8.
  detached: true,
});
let output = "";
child.stdout.on("data", (chunk) => {
  output += chunk;
  process.stdout.write(chunk);
});
let fault;
const deadline = setTimeout(giveUp, MINUTES * 60_000, "SIGTERM", `they took more than ${MINUTES} minutes`);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, giveUp);
child.on("close", finish);

/** Ends c8, the tests and what they started; a signal lets them end the browsers, which have groups of their own. */
function giveUp(signal, why) {
  fault ??= typeof why === "string" ? why : `they were ended by ${signal}`;
  kill(signal);
  setTimeout(() => {
    kill("SIGKILL");
    finish(1); // whoever left the group may hold the output open
  }, 3000);
}

function kill(signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // All have ended just now.
  }
}

function finish(status) {
  clearTimeout(deadline);
  if (!pattern && !fault && status === 0 && !isProtocolCovered())
    fault = "they cover too little of the protocol";
  if (fault) process.stdout.write(`\nThe tests failed: ${fault}\n`);
  process.exit(summarize() && status === 0 && !fault ? 0 : 1);
}

/** Whether enough of the protocol is covered; c8 says what lacks. */
function isProtocolCovered() {
  const report = ["report", ...protocol, "--reporter", "text-summary"];
  return spawnSync("node_modules/.bin/c8", report, { stdio: "inherit" }).status === 0;
}

/** Says how many tests did what, and returns whether that is fine. */
function summarize() {
  // The last ones: what a machine of the tests says at its end has some too.
  const figure = (name) =>
    Number([...output.matchAll(new RegExp(`^\\s*${name}:\\s+(\\d+)`, "gm"))].at(-1)?.[1] ?? 0);
  const total = figure("Total");
  const passed = figure("Passed");
  const skipped = figure("Skipped");
  const failed = total - passed;
  process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  return failed === 0 && passed > 0 && !(process.env.CI === "true" && skipped > 0);
}
