import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import type { Configuration } from "../config/config.ts";
import { type Exit, GroupedProcess } from "../grouped-process.ts";
import { reasonOf } from "../system-error.ts";
import { trustedPath, UntrustedPathError } from "../trusted-path.ts";

/** Milliseconds that the hook is given once somebody waits for the end of the session. */
const HOOK_TIME = 10_000;

/** The state hook failed. */
export class StateHookError extends Error {
  override name = "StateHookError";
}

/**
 * Judges the state hook of a configuration, before anything is opened. One that is not there is no fault.
 * @throws StateHookError when somebody else could change it (see `trustedPath`)
 */
export function judgeStateHook({ stateHook }: Pick<Configuration, "stateHook">): void {
  try {
    trustedPath(stateHook);
  } catch (error) {
    if (error instanceof UntrustedPathError)
      throw new StateHookError(`the state hook ${stateHook}: ${error.message}`);
  }
}

/**
 * The executable that is told when an export is ready to use (`start NAME`) and when it goes (`stop NAME`). One
 * that is not there or not executable is skipped; one that somebody else could change is not run. `stop` runs once, and
 * only when `start` was run. What it is run with is told at `GroupedProcess`.
 *
 * A hook that mounts or unmounts something is not cut short, but one that hangs does not hold up the end for ever:
 * it is ended after 10 s, with all that it has started.
 */
export class StateHook {
  readonly #path: string;
  readonly #configuration: string;
  #started: GroupedProcess | undefined;
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
    const run = this.#run("start");
    // One that could not be run has done nothing that a stop would have to undo.
    if (run.wasRun) this.#started = run;
    if (this.#limit !== undefined) run.endIn(this.#limit);
    await this.#succeeded(run, "start");
  }

  /** Ends a `start` that still runs after so many milliseconds, also one that has yet to begin. */
  interrupt(milliseconds = HOOK_TIME): void {
    this.#limit = milliseconds;
    this.#started?.endIn(milliseconds);
  }

  /**
   * Runs `stop` and waits for its end.
   * @throws StateHookError when it fails, or does not end within 10 s
   */
  async stop(): Promise<void> {
    const run = this.#runStop();
    if (!run) return;
    run.endIn(HOOK_TIME);
    await this.#succeeded(run, "stop");
  }

  /**
   * Starts `stop` and does not wait for it.
   * @throws StateHookError when it must not be run any more
   */
  stopDetached(): void {
    this.interrupt(0);
    this.#runStop()?.unref();
  }

  #runStop(): GroupedProcess | undefined {
    if (this.#stopped) return undefined;
    this.#stopped = true;
    return this.#started && this.#run("stop");
  }

  #run(action: "start" | "stop"): GroupedProcess {
    judgeStateHook({ stateHook: this.#path });
    return new GroupedProcess(absolute(this.#path), [action, this.#configuration]);
  }

  async #succeeded(run: GroupedProcess, action: "start" | "stop"): Promise<void> {
    const what = `the state hook ${this.#path} ${action} ${this.#configuration}`;
    const exit = await run.exit.catch((error: NodeJS.ErrnoException) => {
      // The hook itself was there a moment ago.
      const fault = error.code === "ENOENT" ? "its interpreter is missing" : reasonOf(error);
      throw new StateHookError(`${what} did not run: ${fault}`);
    });
    const fault = faultOf(exit);
    if (fault) throw new StateHookError(`${what} failed${fault}`);
  }
}

/** What was wrong with the way in which it ended. To end well, but only when it was told to, is wrong too. */
function faultOf({ status, late }: Exit): string | undefined {
  if (status === 0 && !late) return undefined;
  const how = typeof status === "string" ? ` with ${status}` : status ? ` with exit status ${status}` : "";
  return late ? `${how}: it did not end within ${late / 1000} s` : how;
}

/** Without a slash it would be looked up in PATH. */
function absolute(path: string): string {
  return isAbsolute(path) ? path : `${process.cwd()}/${path}`;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
