/** Runs a test file in a process of its own, and says what its tests did. */
import { spawn } from "node:child_process";

/** Minutes after which a file that hangs is ended. */
const FILE_MINUTES = 25;
/** Milliseconds that a file's process has to end by itself once its tests are over: what keeps it was left open. */
const LEAVING_TIME = 60_000;
/** Milliseconds between asking a process to end and ending it. */
const GRACE = 3000;

/** Suites that run in a machine of their own are started by this. */
const IN_MACHINE = "test/system/kernel/in-machine.ts";
export const isInMachine = (file) => /^test\/system\/kernel\/.*\.(uml|qemu)\.ts$/.test(file);

const running = new Set();

/** Ends a file's process and what it started; a signal lets it end browsers, which have groups of their own. */
function end(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended just now.
  }
}

/** Ends all files that run. */
export async function endAll(signal) {
  for (const child of running) end(child, signal);
  await new Promise((resolve) => setTimeout(resolve, GRACE));
  for (const child of running) end(child, "SIGKILL");
}

/** Runs a file; returns its result, with the output of one that has failed. */
export function runFile(file, env) {
  const from = performance.now();
  const script = isInMachine(file) ? [IN_MACHINE, file] : [file];
  const child = spawn(process.execPath, ["--import", "tsx", ...script], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env, NO_COLOR: "1" },
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
      // The last line of all; programs that tests start may have such lines too, and more behind them.
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
    setTimeout(end, GRACE, child, "SIGKILL");
  }, FILE_MINUTES * 60_000);
  return new Promise((resolve) => {
    // Not "close": a process that has left the group may hold the output open.
    child.once("exit", (code, signal) => {
      clearTimeout(patience);
      clearTimeout(leaving);
      running.delete(child);
      setTimeout(() => {
        const seconds = (performance.now() - from) / 1000;
        resolve({
          file,
          seconds,
          ...resultOf(output, fault ?? (signal && `it was ended by ${signal}`), code),
        });
      }, 20);
    });
  });
}

/** What uvu says at the end of a file. */
function resultOf(output, fault, code) {
  // The last figures: a suite that a test starts has some too.
  const figure = (name) =>
    Number([...output.matchAll(new RegExp(`^\\s*${name}:\\s+(\\d+)`, "gm"))].at(-1)?.[1] ?? 0);
  const [total, passed, skipped] = [figure("Total"), figure("Passed"), figure("Skipped")];
  let failed = total - passed;
  // A file that ends without a word about its tests, or with a failure outside of them, has failed.
  if (failed === 0 && (fault || code !== 0 || total + skipped === 0)) failed = 1;
  const skips = output.split("\n").filter((line) => line.startsWith("skipped: "));
  return { passed, failed, skipped, skips, output, fault };
}
