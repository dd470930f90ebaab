/** What the tests of local privilege need: other users, and a program that they may run. */
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Test } from "uvu";
import { program, type Running, type RunOptions, root, type Sandbox } from "../harness.ts";
import { connectWires } from "../system/link.ts";

/** Two users that no machine has, not the same ones in tests that run at the same time. */
export const SOMEBODY = 700_000_000 + process.pid;
export const SOMEBODY_ELSE = SOMEBODY + 100_000_000;

/** A test that root alone can run: files are given to others. Skipped where the tests run as another user. */
export function asRoot<T>(tests: Test<T>): Test<T> {
  if (process.geteuid?.() === 0) return tests;
  const skip = (name: string) => {
    process.stderr.write(`skipped: ${name}: needs root\n`);
    tests.skip(name);
  };
  return skip as unknown as Test<T>;
}

/** A copy of nbd-proxy in the test's folder, which need not be readable by others where the checkout is. */
export function copyOfProxy(sandbox: Sandbox): string {
  const folder = sandbox.path("installed");
  mkdirSync(folder);
  const needed = ["@noble/hashes", "ipaddr.js", "valibot", "web-streams-polyfill", "ws"].map(
    (name) => `node_modules/${name}`,
  );
  for (const name of ["dist", "package.json", ...needed])
    cpSync(join(root, name), join(folder, name), { recursive: true });
  return join(folder, "dist/bin/nbd-proxy.js");
}

/** The way to run a program as another user. */
export const as = (user: number, command: readonly string[]): [string, string[]] => [
  "setpriv",
  [`--reuid=${user}`, `--regid=${user}`, "--clear-groups", ...command],
];

/** Starts a command that speaks NBD on standard input and output, with nbd-serve at the other end. */
export function startServed(
  sandbox: Sandbox,
  [command, args]: readonly [string, readonly string[]],
  options: Omit<RunOptions, "wire"> = {},
): Running {
  const proxy = sandbox.start(command, args, { ...options, wire: true });
  const server = sandbox.start(program("nbd-serve"), [sandbox.path("disk.img"), "-"], { wire: true });
  connectWires(server, proxy);
  return proxy;
}
