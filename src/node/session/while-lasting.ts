import { fast } from "../../export/filters/fast.ts";
import { readOnly } from "../../export/filters/read-only.ts";
import type { RequestWindow } from "../../export/request-window.ts";
import type { ByteBudget } from "../../streams/budget.ts";
import type { ForOthers } from "../../streams/for-others.ts";
import type { MemoryBudget } from "../../streams/memory-budget.ts";
import type { Configuration } from "../config/config.ts";
import type { Log } from "../log/log.ts";
import { whileAttached } from "./attached.ts";
import type { LastingExport } from "./lasting-export.ts";
import type { Place } from "./place.ts";
import type { SessionRecord } from "./session-state.ts";

/** Bytes that are kept at most of what was read, and read ahead, for all local clients of a session. */
const CACHE = 16 << 20;

/** What a session has found, and how it is asked for. */
export interface Found {
  readonly lasting: LastingExport;
  /** The server's own name for it, or "". */
  readonly name: string;
  readonly window: RequestWindow;
}

export interface WhileLastingOptions {
  /** Bytes in flight for the local clients of all sessions of this process. */
  budget: ByteBudget;
  /** Where the caches of all sessions of this process count. Default: 16 MiB of this session's own, which stay. */
  memory?: MemoryBudget | undefined;
  /** Takes a line for people. */
  log: Log;
  /** Asks for an orderly end. */
  signal: AbortSignal;
}

/**
 * The life of a session from when its export is found: puts it, with a cache over it, to the use that the configuration asks for,
 * until one of them ends. The export is closed when it settles. It throws as `whileAttached`.
 */
export async function whileLasting(
  { lasting, name, window }: Found,
  place: Place,
  configuration: Configuration,
  options: WhileLastingOptions,
  record: SessionRecord,
): Promise<void> {
  const { memory, signal } = options;
  const { ended, patience, close } = lasting;
  const allowed = configuration.readOnly ? readOnly(lasting.target) : lasting.target;
  const target = fast({ window, budget: CACHE, memory })(allowed);
  lasting.keeps(target);
  record.traffic.kept = target;
  let stopFault: Error | undefined;
  try {
    stopFault = await whileAttached({ target, name, ended, patience }, place, configuration, options, record);
  } catch (error) {
    // The other end is told why, where the transport has words; NBD has none.
    close(hasWords(signal.reason) ? signal.reason : error);
    throw error;
  } finally {
    if (hasWords(signal.reason)) close(signal.reason);
    await target.close();
  }
  // The other end is not told: for it all went well.
  if (stopFault) throw stopFault;
}

function hasWords(reason: unknown): reason is ForOthers {
  return typeof (reason as Partial<ForOthers> | undefined)?.forOthers === "string";
}
