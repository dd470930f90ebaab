/** Programs that tests have started, and what they wrote, for those who read why a test has failed. */
import type { ChildProcess } from "node:child_process";

/** The most characters that are kept of a program's standard output or error, the last ones. */
const KEPT = 1 << 24;
/** The most characters that are shown of each. */
const SHOWN = 4000;

/** What a program is that a test started. */
export interface Running {
  readonly process: ChildProcess;
  readonly pid: number;
  /** What it has written so far; of very much the end. */
  stdout: string;
  stderr: string;
  /** Its exit status, or the name of the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>;
  kill(signal?: NodeJS.Signals): void;
}

/** Programs of the test that runs, and those of its suite. */
const started = new Set<Running>();

/** Keeps what a program writes; its standard output only where the test does not read it. */
export function listen(running: Running, withOutput: boolean): void {
  started.add(running);
  const { stdout, stderr } = running.process;
  const add = (to: "stdout" | "stderr") => (chunk: Buffer) => {
    const text = running[to] + chunk;
    running[to] = text.length > 2 * KEPT ? text.slice(-KEPT) : text;
  };
  stderr!.on("data", add("stderr"));
  if (withOutput) stdout!.on("data", add("stdout"));
}

const statusOf = ({ process: { exitCode, signalCode } }: Running) => signalCode ?? exitCode;

/** Lets go of the programs that have ended: the next test has nothing to do with them. */
export function forgetEnded(): void {
  for (const running of started) if (statusOf(running) !== null) started.delete(running);
}

/** What the programs of a test wrote, and how they ended. */
export function describePrograms(): string {
  return [...started].map(describe).join("\n");
}

function describe(running: Running): string {
  const status = statusOf(running);
  const end = status === null ? "runs" : `ended with ${status}`;
  const said = [...section("stderr", running.stderr), ...section("stdout", running.stdout)];
  const words = said.length > 0 ? said : ["it wrote nothing"];
  return [`[${running.process.spawnargs.join(" ")}] (process ${running.pid}) ${end}`, ...words].join("\n");
}

function section(name: string, text: string): string[] {
  if (text === "") return [];
  const cut = text.length > SHOWN ? `, the last ${SHOWN} of ${text.length} characters` : "";
  return [`${name}${cut}:`, text.slice(-SHOWN).trimEnd()];
}
