import type { NBDServerState } from "../src/NBDServer.ts";
import { timeOf } from "./keeping/interrupted.ts";
import type { ServingNews } from "./serving.ts";

export type PageState =
  | NBDServerState
  | "starting"
  | "locked"
  | "looking"
  | "busy"
  | "taken"
  | "other"
  | "interrupted";

/** What the page says about each state, unless there is more to say. */
export const words: Readonly<Record<PageState, string>> = {
  starting: "Starting…",
  locked: "Not logged in",
  idle: "No file chosen",
  looking: "Looking at the file…",
  connecting: "Connecting…",
  waiting: "Connected, waiting for the other machine…",
  serving: "Serving: the other machine can read the disk",
  unreadable: "Cannot be read",
  reconnecting: "Connection lost",
  ended: "Ended: the other machine no longer has the disk",
  failed: "Failed",
  busy: "In use",
  taken: "Taken over",
  other: "Another disk",
  interrupted: "Interrupted",
};

export const READY = "Ready to serve";
export const LOGIN_ENDED = "Your login has ended: log in again";

/** What the page says about a server. */
export function wordsFor({ state, line, lost }: ServingNews): string {
  if (state === "failed" || state === "unreadable") return `${words[state]}: ${line}`;
  if (!lost) return words[state];
  if (state === "reconnecting") return `${words[state]}: trying again until ${timeOf(lost.until)}`;
  if (state === "ended")
    return "Stopped while the connection was lost: the other machine waits for the disk for a while";
  if (state !== "serving") return words[state];
  return `Serving again, after ${Math.ceil((Date.now() - lost.at) / 1000)} s without a connection`;
}
