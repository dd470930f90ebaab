/** A program in a pseudo-terminal, and what a person sees there. */
import { fileURLToPath } from "node:url";
import { type Running, type Sandbox, until } from "../harness.ts";
import { ShownScreen } from "../shown-screen.ts";

export interface PseudoTerminalOptions {
  columns?: number;
  env?: Record<string, string>;
}

export class PseudoTerminal {
  readonly #running: Running;
  readonly #screen: ShownScreen;
  /** All that was written, escape sequences included. */
  written = "";

  /** Starts a program, with all three of its streams there. */
  constructor(
    sandbox: Sandbox,
    command: readonly string[],
    { columns = 80, env = {} }: PseudoTerminalOptions = {},
  ) {
    const script = fileURLToPath(new URL("pseudo-terminal.py", import.meta.url));
    // What the terminal of whoever runs the tests is like is no matter.
    const without = ["NO_COLOR", "FORCE_COLOR", "NODE_DISABLE_COLORS", "CI"].flatMap((name) => ["-u", name]);
    const variables = Object.entries({ TERM: "xterm-256color", ...env }).map((pair) => pair.join("="));
    this.#running = sandbox.start(
      "python3",
      [script, String(columns), "env", ...without, ...variables, ...command],
      { wire: true },
    );
    this.#screen = new ShownScreen(columns);
    sandbox.onEnd(() => this.#screen.end());
    // What is typed may come too late: the program has ended just now.
    this.#running.process.stdin!.on("error", () => {});
    this.#running.process.stdout!.on("data", (bytes: Buffer) => {
      this.written += bytes.toString("latin1");
      this.#screen.write(bytes);
    });
  }

  /** The rows that are shown, without those that are empty at the end. */
  rows(): Promise<string[]> {
    return this.#screen.rows();
  }

  /** Waits until the last row that is shown is as it should be, and returns all. */
  async untilLast(what: string, isRight: (row: string) => boolean): Promise<string[]> {
    let rows: string[] = [];
    await until(what, async () => {
      rows = await this.rows();
      return isRight(rows.at(-1) ?? "");
    });
    return rows;
  }

  /** The window gets another width. */
  resize(columns: number): void {
    this.#screen.resize(columns);
    this.#say(`size ${columns}`);
  }

  /** As from the keyboard; "\x03" is Ctrl-C. */
  type(text: string): void {
    this.#say(`type ${Buffer.from(text).toString("hex")}`);
  }

  /** Whether the terminal takes what is written to it. */
  take(isTaken: boolean): void {
    this.#say(isTaken ? "go" : "stop");
  }

  /** How the program has ended: "status N" or "signal N". */
  async ended(): Promise<string> {
    await this.#running.exit;
    return this.#running.stderr.trim();
  }

  #say(line: string): void {
    this.#running.process.stdin!.write(`${line}\n`);
  }
}
