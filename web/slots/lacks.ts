import { hasDatabase } from "../keeping/database.ts";
import { hasPicker } from "../keeping/file-handle.ts";
import type { Lack } from "../words/page-words.ts";
import { consent } from "./stop-notice.ts";

/** What this browser does not have, or does not give this page, in the order of how much it matters. */
export function lacks(): Lack[] {
  const hasLocks = navigator.locks !== undefined;
  const there: Readonly<Record<Lack, boolean>> = {
    storage: hasStorage(),
    locks: hasLocks,
    handles: hasPicker && hasDatabase,
    notifications: consent() !== "impossible",
    sharing: hasLocks && typeof BroadcastChannel !== "undefined",
  };
  return (Object.keys(there) as Lack[]).filter((one) => !there[one]);
}

function hasStorage(): boolean {
  try {
    localStorage.getItem("");
    return true;
  } catch {
    return false;
  }
}
