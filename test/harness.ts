/** What several tests need: suites, deadlines, temporary folders, and programs that end when the test does. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isExecutable } from "./needing.ts";
import { listen, type Running } from "./programs.ts";
import { within } from "./waiting.ts";

export { needing } from "./needing.ts";
export type { Running } from "./programs.ts";
export { suite } from "./suite.ts";
export { until, within } from "./waiting.ts";

/** The checkout. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** Where the built programs are. */
export const program = (name: "nbd-proxy" | "nbd-gateway" | "nbd-serve") =>
  join(root, "dist/bin", `${name}.js`);

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** "pipe" leaves standard input and output to the test (stdout is then not collected). Default: no input. */
  wire?: boolean;
}

/** PATH with this Node before any other, which our programs look for there. */
const pathToNode = [dirname(process.execPath), process.env.PATH].join(delimiter);

/** A test's own folder and processes; `end()` removes and ends them all. */
export class Sandbox {
  readonly folder = mkdtempSync(join(tmpdir(), "nbd-proxy-test-"));
  readonly #running = new Set<Running>();
  readonly #ends: (() => unknown)[] = [];

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Starts a program; one of ours, or a script, is run by this Node. It is killed at the end of the test at the latest. */
  start(command: string, args: readonly string[] = [], { cwd, env, wire = false }: RunOptions = {}): Running {
    const isScript = command.endsWith(".js") && !isExecutable(command);
    const child = spawn(isScript ? process.execPath : command, isScript ? [command, ...args] : args, {
      cwd: cwd ?? this.folder,
      // No program has the token of another test. Coverage is taken of the sources, in this process.
      env: {
        ...process.env,
        PATH: pathToNode,
        NODE_V8_COVERAGE: "",
        TMPDIR: this.folder,
        STATE_DIRECTORY: this.folder,
        ...env,
      },
      stdio: [wire ? "pipe" : "ignore", "pipe", "pipe"],
    });
    const exit = new Promise<number | NodeJS.Signals>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        this.#running.delete(running);
        resolve(signal ?? code ?? -1);
      });
    });
    exit.catch(() => {});
    const running: Running = {
      process: child,
      pid: child.pid ?? -1,
      stdout: "",
      stderr: "",
      exit,
      kill: (signal = "SIGTERM") => void child.kill(signal),
    };
    listen(running, !wire);
    this.#running.add(running);
    return running;
  }

  /** Runs a program to its end and returns what it wrote to standard output; throws unless its exit status is 0. */
  async run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<string> {
    const running = this.start(command, args, options);
    const status = await within(120_000, `${command} ${args.join(" ")}`, running.exit);
    if (status === 0) return running.stdout;
    throw new Error(`${command} ${args.join(" ")}: ${status}\n${running.stdout}${running.stderr}`);
  }

  /** Has something else of the test's ended with it, after its programs. */
  onEnd(end: () => unknown): void {
    this.#ends.push(end);
  }

  async end(): Promise<void> {
    for (const running of [...this.#running]) {
      running.kill("SIGKILL");
      // A child of it that lives on may hold its output open, which would hold up "close".
      running.process.stdout?.destroy();
      running.process.stderr?.destroy();
      await running.exit.catch(() => {});
    }
    for (const end of this.#ends.splice(0)) await end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
