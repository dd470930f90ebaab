import { hasDatabase } from "../keeping/database.ts";
import { hasPicker } from "../keeping/file-handle.ts";
import type { Lack, PageWords } from "../words/page-words.ts";
import { consent } from "./stop-notice.ts";

/**
 * Says what this browser lacks, and why if the page can tell.
 *
 * @param details with a list; hidden if it lacks nothing
 */
export function showLacks(details: HTMLElement, words: PageWords): void {
  const found = lacks();
  const lines = found.map((lack) => words.lacks[lack]);
  if (!isSecureContext) lines.unshift(words.insecure);
  const items = lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  });
  details.querySelector("ul")!.replaceChildren(...items);
  details.hidden = found.length === 0;
}

/** What this browser does not have, or does not give this page, in the order of how much it matters. */
function lacks(): Lack[] {
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
