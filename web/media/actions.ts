import type { Situation } from "./situation.ts";

/** A button of a card, by the name of its part. */
export type Action = "serve" | "stop" | "take-over" | "go-on" | "eject";

/** What a button says. */
export type Label = "serve" | "serveAgain" | "serveInstead" | "eject" | "takeOver" | "goOn";

export interface Offer {
  readonly action: Action;
  readonly label: Label;
  readonly isEnabled: boolean;
  /** Whether it is what most people want now. */
  readonly isMain: boolean;
}

export interface Means {
  readonly isRunning: boolean;
  /** Whether there is a file that can be served. */
  readonly isServable: boolean;
  /** Whether the page can eject what somebody else serves. */
  readonly canEject: boolean;
}

/** What can be done in a situation, in the order of the buttons. */
export function offersIn(situation: Situation, { isRunning, isServable, canEject }: Means): Offer[] {
  const { kind } = situation;
  const offers: Offer[] = [];
  const offer = (action: Action, label: Label, isEnabled = true, isMain = false) =>
    offers.push({ action, label, isEnabled, isMain });
  if (isRunning) {
    offer("stop", "eject", kind !== "stopping");
    return offers;
  }
  const canGoOn = kind === "interrupted" && situation.canGoOn;
  if (canGoOn) offer("go-on", "goOn", true, true);
  // What would be refused again, or is somebody else's, is not urged upon anybody.
  const isOthers = kind === "in-use" || kind === "taken-over" || kind === "another-medium";
  const holder = "holder" in situation ? situation.holder : undefined;
  if (kind === "held") {
    if (situation.holder.allowsTakeOver) offer("take-over", "takeOver", isServable, isServable);
  } else {
    offer("serve", isEnd(situation) ? "serveAgain" : "serve", isServable, !canGoOn && !isOthers);
    if (kind === "another-medium") offer("take-over", "serveInstead", isServable);
    else if (kind === "in-use" || kind === "taken-over") {
      if (holder?.allowsTakeOver !== false) offer("take-over", "takeOver", isServable);
    }
  }
  if (holder && canEject && holder.state !== "ending") offer("eject", "eject");
  return offers;
}

function isEnd({ kind }: Situation): boolean {
  return [
    "stopped",
    "ejected",
    "given-up",
    "gateway-gone",
    "in-use",
    "taken-over",
    "refused",
    "failed",
  ].includes(kind);
}
