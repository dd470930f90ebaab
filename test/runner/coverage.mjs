/** What the tests reach of the sources: V8 counts it in each test file's process, c8 adds it up. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

const FOLDER = "coverage";
/** The results of the test files whose coverage is there. */
const RESULTS = `${FOLDER}/results.json`;

/** For the environment of test files. */
export const coverageEnv = () => ({ NODE_V8_COVERAGE: resolve(FOLDER, "tmp") });

/** What runs in machines of its own, from the build, cannot be counted. */
const COUNTED = ["--include", "src/**/*.ts", "--exclude", "src/node/kernel/**"];

/** Percents that must be reached. */
const ENOUGH = [
  { folder: "src/", lines: 90, branches: 85, functions: 85 },
  { folder: "src/nbd/", lines: 98, branches: 95, functions: 0 },
];

/** Begins anew. */
export function clear() {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER);
}

/** Keeps the results of the files that ran, for the run that adds up. */
export const keep = (results) => writeFileSync(RESULTS, JSON.stringify(results));

/** The results of the run before, which has begun the count. */
export function kept() {
  try {
    return JSON.parse(readFileSync(RESULTS, "utf8"));
  } catch (error) {
    throw new Error(`--rest --coverage goes on with the count of npm test -- --coverage: ${error.message}`);
  }
}

/** Writes the report, and what is too little of it. Says whether it is enough. */
export function report() {
  const reporters = ["--reporter", "text", "--reporter", "json-summary"];
  const report = [...COUNTED, ...reporters, "--reports-dir", FOLDER, "--temp-directory", `${FOLDER}/tmp`];
  execFileSync("node_modules/.bin/c8", ["report", ...report], { stdio: "inherit" });
  const files = Object.entries(JSON.parse(readFileSync(`${FOLDER}/coverage-summary.json`, "utf8")));
  let isEnough = true;
  for (const { folder, ...least } of ENOUGH) {
    const counted = files.filter(([file]) => file.startsWith(resolve(folder))).map(([, counts]) => counts);
    for (const [what, percent] of Object.entries(least)) {
      const sum = (field) => counted.reduce((total, counts) => total + counts[what][field], 0);
      const reached = (100 * sum("covered")) / sum("total");
      if (reached >= percent) continue;
      isEnough = false;
      process.stdout.write(
        `\nToo little is covered: ${reached} % of the ${what} of ${folder}, not ${percent}\n`,
      );
    }
  }
  return isEnough;
}
