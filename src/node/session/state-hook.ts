import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";

/** Milliseconds that the hook is given once somebody waits for the end of the session. */
const HOOK_TIME = 10_000;
/** Milliseconds that one has to end after SIGTERM. */
const KILL_TIME = 1000;

/** The state hook failed. */
export class StateHookError extends Error {
  override name = "StateHookError";
}

/**
 * The executable that is told when an export is ready to use (`start NAME`) and when it goes (`stop NAME`). One
 * that is not there or not executable is skipped. Its standard input and output are /dev/null, as the proxy's own
 * are the wire; its standard error is the proxy's. `stop` runs once, and only when `start` was run.
 *
 * A hook that mounts or unmounts something is not cut short, but one that hangs does not hold up the end for ever:
 * it is ended after 10 s.
 */
export class StateHook {
  readonly #path: string;
  readonly #configuration: string;
  #started: ChildProcess | undefined;
  #stopped = false;
  /** Milliseconds that a `start` has, once `interrupt` was called. */
  #limit: number | undefined;

  constructor(path: string, configuration: string) {
    this.#path = path;
    this.#configuration = configuration;
  }

  /**
   * Runs `start` and waits for its end.
   * @throws StateHookError when it fails, or is interrupted
   */
  async start(): Promise<void> {
    if (!(await isExecutable(this.#path)) || this.#stopped) return;
    const child = spawn(this.#path, ["start", this.#configuration], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    // One that could not be run has done nothing that a stop would have to undo.
    if (child.pid !== undefined) this.#started = child;
    if (this.#limit !== undefined) endIn(this.#limit, child);
    await this.#end(child, "start");
  }

  /** Ends a `start` that still runs after so many milliseconds, also one that has yet to begin. */
  interrupt(milliseconds = HOOK_TIME): void {
    this.#limit = milliseconds;
    if (this.#started) endIn(milliseconds, this.#started);
  }

  /**
   * Runs `stop` and waits for its end.
   * @throws StateHookError when it fails
   */
  async stop(): Promise<void> {
    const child = this.#spawnStop(false);
    if (!child) return;
    endIn(HOOK_TIME, child);
    await this.#end(child, "stop");
  }

  /** Starts `stop` in a process session of its own, which outlives this process and what is done to its group. */
  stopDetached(): void {
    this.interrupt(0);
    const child = this.#spawnStop(true);
    child?.on("error", () => {});
    child?.unref();
  }

  #spawnStop(detached: boolean): ChildProcess | undefined {
    if (this.#stopped) return undefined;
    this.#stopped = true;
    if (!this.#started) return undefined;
    return spawn(this.#path, ["stop", this.#configuration], {
      detached,
      stdio: ["ignore", "ignore", "inherit"],
    });
  }

  #end(child: ChildProcess, action: string): Promise<void> {
    const what = `the state hook ${this.#path} ${action} ${this.#configuration}`;
    return new Promise((resolve, reject) => {
      child.once("error", (error) =>
        reject(
          new StateHookError(
            `${what} did not run: ${isMissing(error) ? "its interpreter is missing" : error.message}`,
          ),
        ),
      );
      child.once("exit", (code, signal) => {
        if (code === 0) resolve();
        else reject(new StateHookError(`${what} failed with ${signal ?? `exit status ${code}`}`));
      });
    });
  }
}

/** Ends a process that still runs after so many milliseconds. */
function endIn(milliseconds: number, child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const terminate = () => {
    child.kill("SIGTERM");
    timer = setTimeout(() => child.kill("SIGKILL"), KILL_TIME);
    // Nobody waits for the start of a session that is lost.
    if (milliseconds === 0) timer.unref();
  };
  let timer: NodeJS.Timeout | undefined;
  child.once("exit", () => clearTimeout(timer));
  if (milliseconds === 0) terminate();
  else timer = setTimeout(terminate, milliseconds);
}

/** The hook itself was there a moment ago. */
function isMissing(error: NodeJS.ErrnoException): boolean {
  return error.code === "ENOENT";
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
