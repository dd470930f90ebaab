import type { Export } from "../../export/export.ts";
import { fast } from "../../export/filters/fast.ts";
import { Statistics, statistics } from "../../export/filters/statistics.ts";
import { nbdClient } from "../../nbd/client/nbd-client.ts";
import type { RemoteExport } from "../../nbd/client/remote-export.ts";
import { LinkError } from "../../nbd/error.ts";
import type { ByteBudget } from "../../streams/budget.ts";
import { checkObject, checkOwnTransport } from "../../streams/check.ts";
import { deadline } from "../../streams/deadline.ts";
import { deferred } from "../../streams/deferred.ts";
import type { Transport } from "../../streams/duplex.ts";
import { withWordsForOthers } from "../../streams/for-others.ts";
import type { MemoryBudget } from "../../streams/memory-budget.ts";
import { messageOf } from "../../streams/message-of.ts";
import type { Configuration } from "../config/config.ts";
import { type FailureLog, failureLog } from "../failure-log.ts";
import { untilAborted } from "../until-aborted.ts";
import type { Attachment, Place, Places } from "./place.ts";
import { places as placesOfThisMachine } from "./places.ts";
import { signOfLife } from "./sign-of-life.ts";
import { StateHook } from "./state-hook.ts";

/** Seconds that a server is given to greet, and for each later reply of the handshake; less where `timeout` is less. */
const GREETING_TIME = 5;
const REPLY_TIME = 30;

/** Milliseconds that a server is given to confirm the last FLUSH. */
const FLUSH_TIME = 1000;

/** Seconds within which one of the last changes of a device has to get through where requests may take for ever. */
const STALL_TIME = 30;

/** Bytes that are kept at most of what was read, and read ahead, for all local clients of a session. */
const CACHE = 16 << 20;

export interface SessionOptions {
  /** Bytes in flight for the local clients of all sessions of this process. */
  budget: ByteBudget;
  /** Where the caches of all sessions of this process count. Default: 16 MiB of this session's own, which stay. */
  memory?: MemoryBudget;
  /** Takes a line for people when the state changes. */
  log(line: string): void;
  /** Asks for an orderly end. */
  signal: AbortSignal;
  /** Seconds of silence on the link after which a sector is read, as a sign of life; 0: never. Default 0. */
  silence?: number;
  /** Where the place of a configuration comes from. Default: this machine's. */
  places?: Places;
}

/** What was written to an export is lost, or nobody has said that it is not. */
export class LossError extends Error {
  override name = "LossError";
}

/**
 * One session, from the handshake to the end of the link or of the process: takes the export at the other end of
 * the transport and puts it to the use that the configuration asks for.
 *
 * Whether the place for it can be had is found out first. It is taken when the server has greeted, before anything is
 * said to it: who says nothing keeps nobody out. It is given back when a reply of the handshake takes more than 30 s, or
 * the whole more than 60 s. The greeting has 5 s. Where the configuration's `timeout` is less, so are these times.
 *
 * Resolves when the remote ended in order, between requests and with nothing outstanding, and after an orderly
 * end by `signal`. Nothing is left when it settles, whichever way.
 *
 * @throws ConfigError before anything is said to the other side, when the place where the export is to be is not there, or
 *   in use; where that shows before the server has greeted, the transport is the caller's still
 * @throws LossError, StateHookError, RefusedError, LinkError, ProtocolError, or the transport's error
 */
export async function session(
  transport: Transport,
  configuration: Configuration,
  options: SessionOptions,
): Promise<void> {
  checkOwnTransport(transport, "the transport");
  checkObject(configuration, "the configuration");
  checkObject(options, "the options");
  const { memory, signal, silence = 0, places = placesOfThisMachine } = options;
  await places.look(configuration);
  let place: Place | undefined;
  const onGreeting = async () => {
    place = await places.claim(configuration);
  };
  try {
    const remote = await connect(transport, configuration.timeout, signal, onGreeting);
    if (!remote) return;
    const near = fast({ window: remote.window, budget: CACHE, memory })(remote);
    let stopFault: Error | undefined;
    const endSigns = silence > 0 && remote.size > 0 ? signOfLife(remote, silence) : () => {};
    try {
      stopFault = await use(remote, near, place!, configuration, options);
    } catch (error) {
      // The other end is told why, where the transport has words; NBD has none.
      transport.close(error);
      throw error;
    } finally {
      endSigns();
      await near.close();
    }
    // No concern of the other end, for which all went well.
    if (stopFault) throw stopFault;
  } finally {
    await (place as Place | undefined)?.release();
  }
}

/** Does the handshake; undefined when it was given up by the signal. */
async function connect(
  transport: Transport,
  timeout: number,
  signal: AbortSignal,
  onGreeting: () => Promise<void>,
): Promise<RemoteExport | undefined> {
  // Where requests may take for ever, the handshake may not.
  const longest = timeout || Number.POSITIVE_INFINITY;
  const reply = Math.min(REPLY_TIME, longest);
  const handshakeTimes = { greeting: Math.min(GREETING_TIME, longest), reply, whole: 2 * reply };
  try {
    return await nbdClient(transport, { timeout, handshakeTimes, signal, onGreeting });
  } catch (error) {
    transport.close(error);
    if (signal.aborted) return undefined;
    throw error;
  }
}

/**
 * Uses the export until the link or the place ends, or the signal asks for it.
 * @returns what was wrong with the hook's `stop`, where nothing else was
 */
async function use(
  remote: RemoteExport,
  near: Export,
  place: Place,
  configuration: Configuration,
  { budget, log, signal }: SessionOptions,
): Promise<Error | undefined> {
  if (remote.size === 0) throw withWordsForOthers(new Error("the export is empty, 0 bytes"));
  const link = watch(remote.closed);
  const counts = new Statistics();
  const failures = failureLog(log);
  const note: FailureLog["add"] = (error, request) => {
    // The end of the link tells of itself.
    if (!link.isGone) failures.add(error, request);
  };
  const target = statistics(counts, note)(near);
  const exportName = remote.name ?? "";
  const attachment = await whileLinked(link, signal, (hurry) =>
    place.attach(target, { exportName, budget, log, signal: hurry }),
  );
  const attached = watch(attachment.ended);
  const hook = new StateHook(configuration.stateHook, configuration.name);
  let started = Promise.resolve();
  let stopFault: Error | undefined;
  let hasFailed = true;
  const isWanted = () => !link.isGone && !attached.isGone && !signal.aborted;
  try {
    if (isWanted()) {
      started = hook.start();
      started.catch(() => {});
      const onAbort = () => hook.interrupt();
      signal.addEventListener("abort", onAbort);
      await Promise.race([started, link.gone, attached.gone]).finally(() =>
        signal.removeEventListener("abort", onAbort),
      );
    }
    if (isWanted()) {
      log(`${remote.size} bytes, ${remote.write ? "writable" : "read-only"}, on ${attachment.where}`);
      await untilAborted(Promise.race([link.gone, attached.gone]), signal);
    }
    hasFailed = false;
  } finally {
    failures.end();
    if (link.isGone) {
      // First, as there is little time, and starting a process takes some of it.
      const detached = attachment.detach();
      try {
        hook.stopDetached();
      } catch (error) {
        log(messageOf(error));
      }
      await detached;
    } else {
      // What it was to do has no place any more, and `stop` must not run beside it.
      if (attached.isGone) hook.interrupt(0);
      const stopped = started
        .catch(() => {})
        .then(() => hook.stop())
        .catch((error: Error) => {
          // The first fault is the session's.
          if (hasFailed) log(error.message);
          else stopFault = error;
        });
      await Promise.race([stopped, link.gone]);
      await leave(remote, attachment, { link, attached, counts, timeout: configuration.timeout });
    }
  }
  if (link.isGone) await remote.closed;
  else if (attached.isGone) await attachment.ended;
  return stopFault;
}

/**
 * The orderly end, once the hook has run while the device still answered: what this machine still holds of it is
 * written, the last requests of local clients are answered, then everything written is made safe. When the link goes
 * meanwhile there is nothing left to say to the other side.
 */
async function leave(
  remote: RemoteExport,
  attachment: Attachment,
  { link, attached, counts, timeout }: { link: Watch; attached: Watch; counts: Statistics; timeout: number },
) {
  let lost: unknown;
  if (attachment.flush && !attached.isGone) {
    const flushed = unlessStalled(attachment.flush(), () => counts.changes, timeout || STALL_TIME);
    await Promise.race([flushed, link.gone, attached.gone]).catch((error: Error) => {
      const words = `what was written last to ${attachment.where} is lost: ${error.message}`;
      lost = withWordsForOthers(new LossError(words), "what was written last is lost");
    });
  }
  await attachment.detach();
  if (lost) throw lost;
  if (link.isGone) return;
  await flushSoon(remote).catch((error: Error) => {
    // Where nothing was written nothing can be lost.
    throw counts.changes > 0 ? new LossError(error.message, { cause: error }) : error;
  });
}

/** Waits for work that may take long, as long as it goes on: `progress` has to change within so many seconds. */
async function unlessStalled(work: Promise<void>, progress: () => number, seconds: number): Promise<void> {
  const { promise: stalled, reject } = deferred<never>();
  let callOff = start();
  function start() {
    const before = progress();
    return deadline(seconds * 1000, () => {
      if (progress() === before) reject(new Error(`nothing got through for ${seconds} s`));
      else callOff = start();
    });
  }
  try {
    await Promise.race([work, stalled]);
  } finally {
    callOff();
  }
}

/** Whoever asked for the end must not wait for a server that hangs, nor be told that all was well. */
async function flushSoon(remote: RemoteExport): Promise<void> {
  const { promise: late, reject } = deferred<never>();
  const callOff = deadline(FLUSH_TIME, () =>
    reject(new LinkError(`the server did not confirm a FLUSH for ${FLUSH_TIME / 1000} s`)),
  );
  try {
    await Promise.race([remote.flush?.(), late]);
  } finally {
    callOff();
  }
}

interface Watch {
  /** Resolves when what is watched has ended, in whatever way. */
  readonly gone: Promise<void>;
  readonly isGone: boolean;
}

/** Works with a signal that is aborted also when the link is gone. */
async function whileLinked<T>(
  link: Watch,
  signal: AbortSignal,
  work: (hurry: AbortSignal) => Promise<T>,
): Promise<T> {
  const hurry = new AbortController();
  const abort = () => hurry.abort();
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  link.gone.then(abort);
  try {
    return await work(hurry.signal);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Watches for an end of life; without one it never comes. */
function watch(end: Promise<void> = new Promise(() => {})): Watch {
  let isGone = false;
  const note = () => {
    isGone = true;
  };
  return {
    gone: end.then(note, note),
    get isGone() {
      return isGone;
    },
  };
}
