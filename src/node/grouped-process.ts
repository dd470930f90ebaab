import { type ChildProcess, spawn } from "node:child_process";
import { deadline } from "../streams/deadline.ts";
import { fixedEnvironment } from "./fixed-environment.ts";

/** Milliseconds that a process group has to end after SIGTERM. */
const KILL_TIME = 1000;
/** Milliseconds between two looks at a group that is to end. */
const INTERVAL = 20;

/** How a program ended. */
export interface Exit {
  /** Its exit status, or the signal that ended it. */
  status: number | NodeJS.Signals;
  /** Milliseconds that it had, where it did not end within them. */
  late?: number;
}

/**
 * A program in a process session, and with that a process group, of its own (setsid(2)): a Ctrl-C at our terminal is not
 * for it, and when it has to end, all that it has started ends too. It gets `fixedEnvironment` and the folder "/";
 * standard input and output are /dev/null, standard error is ours. It may outlive this process.
 */
export class GroupedProcess {
  /**
   * Resolves when the program has ended. Where it was ended by `endIn`, its whole group has then ended or was sent
   * SIGKILL. Rejects when it could not be run. It is safe to ignore.
   */
  readonly exit: Promise<Exit>;
  readonly #child: ChildProcess;
  #callOff: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #late: number | undefined;

  /** @param path an absolute path: nothing is looked up in PATH */
  constructor(path: string, args: readonly string[]) {
    this.#child = spawn(path, args, {
      detached: true,
      cwd: "/",
      env: fixedEnvironment(),
      stdio: ["ignore", "ignore", "inherit"],
    });
    this.exit = new Promise<Exit>((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("exit", (code, signal) => {
        this.#callOff?.();
        resolve(this.#groupEnded().then(() => this.#exitOf(signal ?? code ?? -1)));
      });
    });
    this.exit.catch(() => {});
  }

  /** Whether it was run at all. */
  get wasRun(): boolean {
    return this.#child.pid !== undefined;
  }

  /**
   * Ends the group if the program still runs after so many milliseconds: SIGTERM, and SIGKILL a second later. Where this process
   * was stopped meanwhile, the time begins anew: as a rule the program was stopped too.
   */
  endIn(milliseconds: number): void {
    const isRunning = this.wasRun && this.#child.exitCode === null && this.#child.signalCode === null;
    if (!isRunning || this.#late !== undefined) return;
    this.#callOff?.();
    if (milliseconds === 0) this.#terminate(0);
    else this.#callOff = deadline(milliseconds, () => this.#terminate(milliseconds));
  }

  /** This process does not wait for it. */
  unref(): void {
    this.#child.unref();
  }

  #terminate(after: number): void {
    this.#late = after;
    this.#signal("SIGTERM");
    process.once("exit", this.#kill);
    // Nobody waits for what has to end at once; if this process ends first, it is killed then.
    this.#timer = setTimeout(this.#kill, KILL_TIME);
    if (after === 0) this.#timer.unref();
  }

  readonly #kill = () => {
    this.#signal("SIGKILL");
    this.#settle();
  };

  #settle(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    process.off("exit", this.#kill);
  }

  /** Waits for the rest of a group that is to end. What a program leaves behind when it ends by itself stays. */
  async #groupEnded(): Promise<void> {
    while (this.#timer !== undefined && this.#late !== undefined) {
      if (!this.#signal(0)) return this.#settle();
      await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    }
  }

  #exitOf(status: Exit["status"]): Exit {
    return this.#late === undefined ? { status } : { status, late: this.#late };
  }

  /** Sends a signal to the group; tells whether there is one. */
  #signal(signal: NodeJS.Signals | 0): boolean {
    try {
      return process.kill(-this.#child.pid!, signal);
    } catch (error) {
      // Some of it may be somebody else's by now, as a setuid program.
      return (error as NodeJS.ErrnoException).code === "EPERM";
    }
  }
}
