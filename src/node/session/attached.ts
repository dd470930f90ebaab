import type { Export } from "../../export/export.ts";
import { statistics } from "../../export/filters/statistics.ts";
import type { ByteBudget } from "../../streams/budget.ts";
import { withWordsForOthers } from "../../streams/for-others.ts";
import { messageOf } from "../../streams/message-of.ts";
import type { Configuration } from "../config/config.ts";
import { type FailureLog, failureLog } from "../failure-log.ts";
import type { Log } from "../log/log.ts";
import { untilAborted } from "../until-aborted.ts";
import { saveAndDetach } from "./last-writes.ts";
import type { Attachment, Place } from "./place.ts";
import type { SessionRecord } from "./session-state.ts";
import { StateHook } from "./state-hook.ts";
import { unlessGone, type Watch, watch } from "./watch.ts";

/** An export to be attached, wherever it comes from. */
export interface Source {
  readonly target: Export;
  /** The server's own name for it, or "". */
  readonly name: string;
  /** Settles when the export is gone, and answers no more. It is safe to ignore. */
  readonly ended: Promise<void>;
  /** Seconds for which what is asked for may wait for a new link. */
  readonly patience: number;
}

export interface AttachedOptions {
  /** Bytes in flight for the local clients of all sessions of this process. */
  budget: ByteBudget;
  /** Takes a line for people. */
  log: Log;
  /** Asks for an orderly end. */
  signal: AbortSignal;
}

/**
 * The life of an attachment: puts an export in its place, has the state hook run, and waits until the export or the place
 * ends, or the signal asks for the end. Then it undoes both, with whatever time there is. Nothing is left when it settles.
 *
 * It knows nothing of links: the link may change as long as the export stays the same.
 *
 * @returns what was wrong with the hook's `stop`, where nothing else was
 * @throws LossError, StateHookError, what the export or the place ended with, and Error when the export cannot be attached
 */
export async function whileAttached(
  source: Source,
  place: Place,
  configuration: Pick<Configuration, "name" | "stateHook" | "timeout">,
  { budget, log, signal }: AttachedOptions,
  record: SessionRecord,
): Promise<Error | undefined> {
  const { target, name: exportName, patience } = source;
  const isWritable = target.write !== undefined;
  record.exported = { name: exportName, size: target.size, isWritable };
  if (target.size === 0) throw withWordsForOthers(new Error("the export is empty, 0 bytes"));
  record.enter("attaching");
  const sourceEnd = watch(source.ended);
  const failures = failureLog((line) => log(line, "error"));
  const note: FailureLog["add"] = (error, request) => {
    record.failures.add(request.command, error);
    // The end of the export tells of itself.
    if (!sourceEnd.isGone) failures.add(error, request);
  };
  const counted = statistics(record.counts, note)(target);
  const attachment = await unlessGone(sourceEnd, signal, (hurry) =>
    place.attach(counted, { exportName, budget, patience, log, signal: hurry }),
  );
  const attached = watch(attachment.ended);
  const hook = new StateHook(configuration.stateHook, configuration.name);
  let started = Promise.resolve();
  let stopFault: Error | undefined;
  let hasFailed = true;
  const isWanted = () => !sourceEnd.isGone && !attached.isGone && !signal.aborted;
  try {
    if (isWanted()) {
      started = hook.start();
      started.catch(() => {});
      const onAbort = () => hook.interrupt();
      signal.addEventListener("abort", onAbort);
      await Promise.race([started, sourceEnd.gone, attached.gone]).finally(() =>
        signal.removeEventListener("abort", onAbort),
      );
    }
    if (isWanted()) {
      record.where = attachment.where;
      log(`${target.size} bytes, ${isWritable ? "writable" : "read-only"}, on ${attachment.where}`);
      record.enter("attached");
      await untilAborted(Promise.race([sourceEnd.gone, attached.gone]), signal);
    }
    hasFailed = false;
  } finally {
    record.enter("ending");
    record.where = undefined;
    failures.end();
    if (sourceEnd.isGone) await detachAtOnce(attachment, hook, log);
    else {
      // What `start` was to do has no place any more, and `stop` must not run beside it.
      if (attached.isGone) hook.interrupt(0);
      const stopped = started
        .catch(() => {})
        .then(() => hook.stop())
        .catch((error: Error) => {
          // The first fault is the session's.
          if (hasFailed) log(error.message, "error");
          else stopFault = error;
        });
      await Promise.race([stopped, sourceEnd.gone]);
      await saveAndDetach(attachment, {
        target,
        source: sourceEnd,
        attached,
        changes: () => record.counts.changes,
        timeout: configuration.timeout,
      });
    }
  }
  await endOf(sourceEnd, source.ended, attached, attachment);
  return stopFault;
}

/** Ends an attachment whose export is gone: requests that are outstanding have failed. */
async function detachAtOnce(attachment: Attachment, hook: StateHook, log: Log): Promise<void> {
  // First, as there is little time, and starting a process takes some of it.
  const detached = attachment.detach();
  try {
    hook.stopDetached();
  } catch (error) {
    log(messageOf(error), "error");
  }
  await detached;
}

/** Rejects with what the export ended with, or else the place, where that was not in order. */
async function endOf(
  sourceEnd: Watch,
  ended: Promise<void>,
  attached: Watch,
  attachment: Attachment,
): Promise<void> {
  if (sourceEnd.isGone) await ended;
  else if (attached.isGone) await attachment.ended;
}
