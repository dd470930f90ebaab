import { fstatSync } from "node:fs";
import { oneLine } from "../src/nbd/one-line.ts";
import { type Log, type LogLevel, type LogRecord, lineOf } from "../src/node/log/log.ts";
import { withShownUrls } from "../src/transport/shown-url.ts";

/** Lines for people, or an object of JSON a line. */
export type LogFormat = "text" | "json";

export function isLogFormat(text: string): text is LogFormat {
  return text === "text" || text === "json";
}

/** Severities of syslog, which a line for the journal begins with (sd-daemon(3)). */
const PRIORITIES: Readonly<Record<LogLevel, number>> = { error: 3, warning: 4, info: 6 };

/** Where the gateway's program writes what it has to say: standard error. No URL in it shows a password. */
export interface GatewayLog {
  record(record: LogRecord): void;
  readonly line: Log;
}

/**
 * Makes the log of the gateway's program.
 * @param format default: JSON where standard error is systemd's journal, else lines for people
 */
export async function gatewayLog(name: string, format: LogFormat | undefined): Promise<GatewayLog> {
  const isJournal = isJournalStream(process.env.JOURNAL_STREAM);
  const priority = (level: LogLevel) => (isJournal ? `<${PRIORITIES[level]}>` : "");
  const write =
    (format ?? (isJournal ? "json" : "text")) === "json"
      ? await jsonWriter(priority)
      : (one: LogRecord) => process.stderr.write(`${priority(one.level)}${name}: ${lineOf(one)}\n`);
  const record = ({ message, ...rest }: LogRecord) => {
    write({ ...rest, message: oneLine(withShownUrls(message)) });
  };
  return { record, line: (message, level = "info") => record({ level, message }) };
}

/** Writes records as JSON. What does that is loaded only then, as a gateway at a terminal needs none of it. */
async function jsonWriter(priority: (level: LogLevel) => string): Promise<(record: LogRecord) => void> {
  const { pino } = await import("pino");
  let level: LogLevel = "info";
  const logger = pino(
    {
      base: null,
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      customLevels: { warning: 40 },
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => process.stderr.write(priority(level) + line) },
  );
  return ({ message, ...about }) => {
    ({ level } = about);
    const { level: _, ...rest } = about;
    logger[level](rest, message);
  };
}

/** Whether standard error is what systemd says that the journal reads: a device and an inode (systemd.exec(5)). */
function isJournalStream(stream: string | undefined): boolean {
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(2);
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
