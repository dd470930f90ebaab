/** What tells that a link may be had again, or has gone unnoticed: the network is back, the page is seen again or was thawed. */
const EVENTS = [
  ["window", "online"],
  ["window", "pageshow"],
  ["document", "visibilitychange"],
] as const;

/** Calls back whenever this page wakes up. Returns what ends that. Where there is no page it never calls. */
export function onWake(callback: () => void): () => void {
  const page = globalThis as Partial<Pick<typeof globalThis, "window" | "document">>;
  const listener = () => {
    if (page.document?.visibilityState !== "hidden") callback();
  };
  for (const [place, event] of EVENTS) page[place]?.addEventListener?.(event, listener);
  return () => {
    for (const [place, event] of EVENTS) page[place]?.removeEventListener?.(event, listener);
  };
}
