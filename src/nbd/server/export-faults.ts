import { ExportError } from "../../export/error.ts";
import type { Export } from "../../export/export.ts";
import { type FailedRequest, isRefusal, type OnExportError } from "../../export/failed-request.ts";
import { callBack } from "../../streams/call-back.ts";
import { messageOf } from "../../streams/message-of.ts";
import { Command, nameOf } from "../constants.ts";
import type { NbdRequest } from "../transmission.ts";

/** How many kinds of mistakes are warned of, for each export. */
const MAX_KINDS = 32;

/** The kinds that were warned of. */
const warnedOf = new WeakMap<Export, Set<string>>();

/**
 * Makes what is told of everything that an export throws. All but refusals goes to `onerror`. Without it there is one
 * warning for each kind of mistake, which is anything but an ExportError: that is a failure that the export knows of.
 */
export function exportFaults(
  target: Export,
  onerror: OnExportError | undefined,
): (thrown: unknown, request: NbdRequest) => void {
  return (thrown, { type, offset, length }) => {
    if (isRefusal(thrown)) return;
    const error = thrown instanceof Error ? thrown : new Error(messageOf(thrown), { cause: thrown });
    const request = { command: nameOf(Command, type), offset, length };
    if (onerror) callBack(() => onerror(error, request));
    else if (!(error instanceof ExportError)) warnOnce(target, error, request);
  };
}

function warnOnce(target: Export, error: Error, { command, offset, length }: FailedRequest): void {
  const kinds = warnedOf.get(target) ?? new Set();
  warnedOf.set(target, kinds);
  const message = messageOf(error);
  const kind = `${command}: ${error.name}: ${message.replace(/\d+/g, "0")}`;
  if (kinds.has(kind) || kinds.size >= MAX_KINDS) return;
  kinds.add(kind);
  warn(`an export failed at a ${command} of ${length} bytes at ${offset}: ${message}`);
}

interface Runtime {
  process?: { emitWarning?(message: string, type: string): void };
}

function warn(message: string): void {
  const { process } = globalThis as Runtime;
  if (process?.emitWarning) process.emitWarning(message, "ExportWarning");
  else console.warn(message);
}
