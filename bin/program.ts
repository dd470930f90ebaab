import { type ParseArgsConfig, parseArgs } from "node:util";
import { version as packageVersion } from "../package.json";
import { oneLine } from "../src/nbd/one-line.ts";
import type { Log } from "../src/node/log/log.ts";
import { messageOf } from "../src/streams/message-of.ts";
import { withShownUrls } from "../src/transport/shown-url.ts";

/** The name and the help of a program. */
export interface Program {
  name: string;
  help: string;
  /** Takes the line that it fails with. Default: as `logger` writes it. */
  log?: Log;
  /** The exit status with which it fails. Default 1. */
  failure?: number;
}

type Options = NonNullable<ParseArgsConfig["options"]>;

/** Parses the arguments. `--help` and `--version` are answered here, and end the process. */
export function readArguments<O extends Options>(program: Program, options: O) {
  const all = { ...options, help: { type: "boolean", short: "h" }, version: { type: "boolean" } } as const;
  let parsed: ReturnType<typeof parseArgs<{ options: typeof all; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ options: all, allowPositionals: true });
  } catch (error) {
    throw new Error(`${firstSentence(error as Error)}; see ${program.name} --help`);
  }
  const { help, version } = parsed.values as { help?: boolean; version?: boolean };
  if (help) leave(program.help);
  if (version) leave(`${program.name} ${packageVersion}\n`);
  return parsed;
}

/** The first sentence of Node's message; the rest is advice about positional arguments. */
function firstSentence({ message }: Error): string {
  return message.split(/\. /)[0]!.replace(/\.$/, "");
}

function leave(text: string): never {
  process.stdout.write(text);
  process.exit(0);
}

/** Words fit to be shown: on one line, and no URL in them shows a password. */
export function shownWords(words: string): string {
  return oneLine(withShownUrls(words));
}

/** Writes a line for people to standard error, as standard output may be the wire. */
export function logger(program: Program): (line: string) => void {
  return (line) => process.stderr.write(`${program.name}: ${shownWords(line)}\n`);
}

/**
 * Aborted by the first SIGTERM, SIGINT or SIGHUP.
 * @param onHangUp what SIGHUP does instead
 */
export function onSignals(onHangUp?: () => void): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, end);
  process.on("SIGHUP", onHangUp ?? end);
  return controller.signal;
}

/**
 * Runs a program: exit status 0 when `main` resolves, or the number that it resolves with; when it fails that of the program,
 * with one line on standard error.
 */
export async function run(program: Program, main: () => Promise<unknown>): Promise<never> {
  // The work goes on even if nobody reads the log.
  process.stderr.on("error", () => {});
  try {
    const status = await main();
    process.exit(typeof status === "number" ? status : 0);
  } catch (error) {
    (program.log ?? logger(program))(messageOf(error), "error");
    process.exit(program.failure ?? 1);
  }
}
