import { type Running, type Sandbox, until } from "../../harness.ts";

/** A service manager of the test's own, which waits for what a service tells it. */
export class Notified {
  readonly name: string;
  readonly #running: Running;

  private constructor(name: string, running: Running) {
    this.name = name;
    this.#running = running;
  }

  /** @param name a path, or "@NAME" in the abstract namespace */
  static async start(sandbox: Sandbox, name: string): Promise<Notified> {
    const script = new URL("notified.py", import.meta.url).pathname;
    const running = sandbox.start("/usr/bin/python3", [script, name]);
    await until("the service manager listens", () => running.stdout.includes("\n"));
    return new Notified(name, running);
  }

  /** The messages so far, each as its assignments, and when it came: microseconds of CLOCK_MONOTONIC. */
  get messages(): { at: number; assignments: string[] }[] {
    const lines = this.#running.stdout.split("\n").slice(1, -1);
    return lines.map((line) => {
      const [at, text] = JSON.parse(line) as [number, string];
      return { at, assignments: text.trimEnd().split("\n") };
    });
  }

  /** The messages that are no signs of life, without what is behind STATUS= and the clock's time. */
  get states(): string[] {
    return this.messages
      .map(({ assignments }) =>
        assignments.map((one) => one.replace(/^(STATUS|MONOTONIC_USEC)=.*/, "$1")).join(" "),
      )
      .filter((text) => text !== "WATCHDOG=1");
  }

  get signsOfLife(): number {
    return this.messages.filter(({ assignments }) => assignments[0] === "WATCHDOG=1").length;
  }

  /** The status of the last message that has one. */
  get status(): string | undefined {
    const all = this.messages.flatMap(({ assignments }) => assignments);
    return all
      .filter((one) => one.startsWith("STATUS="))
      .at(-1)
      ?.slice("STATUS=".length);
  }
}
