/**
 * Runs the tests with coverage and ends with one line, "N passed, N failed, N skipped". With CI=true a skipped
 * test is a failure. `npm test -- PATTERN` runs the test files whose path matches, without coverage thresholds.
 */
import { spawn } from "node:child_process";

const pattern = process.argv[2];
const thresholds = ["--check-coverage", "--lines", "90", "--branches", "85", "--functions", "85"];
const coverage = ["--include", "src/**/*.ts", "--reporter", "text", ...(pattern ? [] : thresholds)];
const uvu = ["--import", "tsx", "node_modules/uvu/bin.js", "test", pattern ?? "\\.test\\.ts$"];

const child = spawn("node_modules/.bin/c8", [...coverage, process.execPath, ...uvu], {
  stdio: ["ignore", "pipe", "inherit"],
  env: { ...process.env, NO_COLOR: "1" },
});
let output = "";
child.stdout.on("data", (chunk) => {
  output += chunk;
  process.stdout.write(chunk);
});
// A test that hangs must not hold up CI for ever. Node's own exit with nothing left to do ends here too.
const deadline = setTimeout(() => child.kill("SIGKILL"), 20 * 60_000);
child.on("close", (status) => {
  clearTimeout(deadline);
  const figure = (name) => Number(output.match(new RegExp(`^\\s*${name}:\\s+(\\d+)`, "m"))?.[1] ?? 0);
  const total = figure("Total");
  const passed = figure("Passed");
  const skipped = figure("Skipped");
  const failed = total - passed;
  const fine = status === 0 && failed === 0 && passed > 0 && !(process.env.CI === "true" && skipped > 0);
  process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  process.exit(fine ? 0 : 1);
});
