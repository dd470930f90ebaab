import { setTimeout as sleep } from "node:timers/promises";
import type { Running, Sandbox } from "../../harness.ts";
import { until } from "../../waiting.ts";

/** Milliseconds after which a program that was started should serve. */
const START_TIME = 60_000;

/** A server that is killed every so many milliseconds, and started again, until it may stay. */
export class KilledAgain {
  /** How often it was killed. */
  kills = 0;
  readonly #start: () => Running;
  readonly #interval: number;
  readonly #running: Promise<Running>;
  #stays = false;

  /** @param start starts the server, which says on its standard error that it is "serving" */
  constructor(start: () => Running, interval: number) {
    this.#start = start;
    this.#interval = interval;
    this.#running = this.#run();
    this.#running.catch(() => {});
  }

  /** nbd-serve, or another script of that kind. */
  static serving(sandbox: Sandbox, script: string, args: readonly string[], interval: number): KilledAgain {
    return new KilledAgain(() => sandbox.start(process.execPath, [script, ...args]), interval);
  }

  /** Kills it no more. The one that runs then stays. */
  async stay(): Promise<Running> {
    this.#stays = true;
    return this.#running;
  }

  async #run(): Promise<Running> {
    for (;;) {
      const running = this.#start();
      await until(
        "it serves",
        () => {
          if (running.process.exitCode !== null) throw new Error(`it has ended: ${running.stderr}`);
          return / serving /.test(running.stderr);
        },
        START_TIME,
      );
      await sleep(this.#interval);
      if (this.#stays) return running;
      running.kill("SIGKILL");
      await running.exit;
      this.kills++;
    }
  }
}
