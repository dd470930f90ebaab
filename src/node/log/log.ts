import { checkMethods } from "../../streams/check.ts";

/** How much a line of a log matters: something is lost or does not work; it may be soon; it is as it should be. */
export type LogLevel = "error" | "warning" | "info";

/**
 * Takes a line for people.
 * @param level default "info"
 */
export type Log = (line: string, level?: LogLevel) => void;

/** A line of a log, as data. */
export interface LogRecord {
  readonly level: LogLevel;
  /** Words for people, without line breaks and other control characters. */
  readonly message: string;
  /** The configuration that it is about. */
  readonly configuration?: string;
  /** The id of the session that it is about: a random one, with which `/status` names it too. */
  readonly session?: string;
}

/** Where a log goes: a function is given lines, an object what they are made of. */
export type LogTarget = ((line: string) => void) | { record(record: LogRecord): void };

/** @throws TypeError when it is none */
export function checkLogTarget(target: LogTarget): void {
  if (typeof target !== "function") checkMethods(target, "log", "a function, or an object", ["record"]);
}

/** The line for people that a record makes. */
export function lineOf({ configuration, message }: LogRecord): string {
  return configuration === undefined ? message : `${configuration}: ${message}`;
}

/** Writes records to a target. */
export function recorder(target: LogTarget): (record: LogRecord) => void {
  return typeof target === "function"
    ? (record) => target(lineOf(record))
    : (record) => target.record(record);
}
