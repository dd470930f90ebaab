import { nbdClient } from "../../nbd/client/nbd-client.ts";
import type { RemoteExport } from "../../nbd/client/remote-export.ts";
import { LinkError } from "../../nbd/error.ts";
import type { ByteBudget } from "../../streams/budget.ts";
import { deferred } from "../../streams/deferred.ts";
import type { Transport } from "../../streams/duplex.ts";
import type { Configuration } from "../config/config.ts";
import { type Attachment, attach, checkTarget } from "./attachment.ts";
import { StateHook } from "./state-hook.ts";

/** Milliseconds that a server is given to confirm the last FLUSH. */
const FLUSH_TIME = 1000;

export interface SessionOptions {
  /** Bytes in flight for the local clients of all sessions of this process. */
  budget: ByteBudget;
  /** Takes a line for people when the state changes. */
  log(line: string): void;
  /** Asks for an orderly end. */
  signal: AbortSignal;
}

/**
 * One session, from the handshake to the end of the link or of the process: takes the export at the other end of
 * the transport and puts it to the use that the configuration asks for.
 *
 * Resolves when the remote ended in order, between requests and with nothing outstanding, and after an orderly
 * end by `signal`. Nothing is left when it settles, whichever way.
 *
 * @throws ConfigError before the transport is touched, which is the caller's still
 * @throws StateHookError, RefusedError, LinkError, ProtocolError, or the transport's error
 */
export async function session(
  transport: Transport,
  configuration: Configuration,
  options: SessionOptions,
): Promise<void> {
  const { signal } = options;
  checkTarget(configuration);
  let remote: RemoteExport;
  try {
    remote = await nbdClient(transport, { timeout: configuration.timeout, signal });
  } catch (error) {
    transport.close(error);
    if (signal.aborted) return;
    throw error;
  }
  try {
    await use(remote, configuration, options);
  } catch (error) {
    // The other end is told why, where the transport has words; NBD has none.
    transport.close(error);
    throw error;
  } finally {
    await remote.close();
  }
}

async function use(
  remote: RemoteExport,
  configuration: Configuration,
  { budget, log, signal }: SessionOptions,
) {
  if (remote.size === 0) throw new Error("the export is empty, 0 bytes");
  const link = watch(remote);
  const attachment = await attach(remote, remote.name ?? "", configuration, budget);
  const hook = new StateHook(configuration.stateHook, configuration.name);
  try {
    const started = hook.start();
    started.catch(() => {});
    const onAbort = () => hook.interrupt();
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    await Promise.race([started, link.gone]).finally(() => signal.removeEventListener("abort", onAbort));
    if (!link.isGone) {
      log(`${remote.size} bytes, ${remote.write ? "writable" : "read-only"}, on ${attachment.where}`);
      await either(link.gone, signal);
    }
  } finally {
    if (link.isGone) {
      hook.stopDetached();
      await attachment.detach();
    } else {
      await leave(remote, attachment, hook, link, log);
    }
  }
  if (link.isGone) await remote.closed;
}

/**
 * The orderly end: the hook runs while the device still answers, then the last requests of local clients are answered,
 * then everything written is made safe. When the link goes meanwhile there is nothing left to say to the other side.
 */
async function leave(
  remote: RemoteExport,
  attachment: Attachment,
  hook: StateHook,
  link: LinkWatch,
  log: SessionOptions["log"],
) {
  const stopped = hook.stop().catch((error: Error) => log(error.message));
  await Promise.race([stopped, link.gone]);
  await attachment.detach();
  if (!link.isGone) await flushSoon(remote);
}

/** Whoever asked for the end must not wait for a server that hangs, nor be told that all was well. */
async function flushSoon(remote: RemoteExport): Promise<void> {
  const { promise: late, reject } = deferred<never>();
  const timer = setTimeout(
    () => reject(new LinkError(`the server did not confirm a FLUSH for ${FLUSH_TIME / 1000} s`)),
    FLUSH_TIME,
  );
  try {
    await Promise.race([remote.flush?.(), late]);
  } finally {
    clearTimeout(timer);
  }
}

interface LinkWatch {
  /** Resolves when the link has ended, in whatever way. */
  readonly gone: Promise<void>;
  readonly isGone: boolean;
}

function watch(remote: RemoteExport): LinkWatch {
  let isGone = false;
  const note = () => {
    isGone = true;
  };
  return {
    gone: remote.closed.then(note, note),
    get isGone() {
      return isGone;
    },
  };
}

/** Waits until the promise resolves or the signal is aborted. It leaves no listener on a signal that outlives it. */
async function either(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const aborted = deferred();
  const onAbort = () => aborted.resolve();
  signal.addEventListener("abort", onAbort);
  await Promise.race([promise, aborted.promise]);
  signal.removeEventListener("abort", onAbort);
}
