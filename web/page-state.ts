import type { NBDServerState } from "../src/NBDServer.ts";

export type PageState = NBDServerState | "starting" | "locked" | "looking" | "busy" | "taken";

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
};

export const READY = "Ready to serve";
export const LOGIN_ENDED = "Your login has ended: log in again";
