/** Where the page has what a person sees and touches. The functions run in the page: each stands for itself. */

/** What a card has; so its parts are called. */
export type Part =
  | "file"
  | "serve"
  | "stop"
  | "take-over"
  | "go-on"
  | "state"
  | "detail"
  | "log"
  | "name"
  | "size"
  | "bytes"
  | "drop";

/** What the page has beside its cards. */
export type Outside = "token" | "show-token" | "login-words" | "log-out";

/** What a card is at; as the element itself calls it. */
export type Kind =
  | "starting"
  | "free"
  | "looking"
  | "bad-file"
  | "folder"
  | "ready"
  | "interrupted"
  | "held"
  | "connecting"
  | "waiting"
  | "attached"
  | "serving"
  | "unreadable"
  | "lost"
  | "gateway-gone"
  | "stopping"
  | "stopped"
  | "ejected"
  | "given-up"
  | "in-use"
  | "taken-over"
  | "another-medium"
  | "refused"
  | "failed";

/** What a card is at; "" where there is none yet. */
export function kindOf(state: HTMLElement | null): string {
  const kinds: Record<string, string> = {
    idle: state?.textContent === "No file chosen" ? "free" : "ready",
    busy: "in-use",
    taken: "taken-over",
    other: "another-medium",
    reconnecting: "lost",
    ended: "stopped",
  };
  const kind = state?.dataset.state ?? "";
  if (kind === "unreadable" && !document.querySelector("#stop:not(:disabled)")) return "bad-file";
  if (state?.textContent?.startsWith("Ready to serve")) return "ready";
  return kinds[kind] ?? kind;
}

/** The names of the configurations that have a card. */
export function cardNames(): string[] {
  const select = document.querySelector<HTMLSelectElement>("#configuration");
  return select ? [...select.options].map(({ value }) => value) : [];
}

/** A part of the card of a configuration; null: of the only card, or of that which comes first. */
export function partOf(card: string | null, part: Part): HTMLElement | null {
  const select = document.querySelector<HTMLSelectElement>("#configuration");
  const offered = [...(select?.options ?? [])].some(({ value }) => value === card);
  if (select && card !== null && offered && !select.disabled && select.value !== card) {
    select.value = card;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }
  const ids: Record<string, string> = { name: "file-name", size: "file-size" };
  return document.getElementById(ids[part] ?? part);
}

/** Whether a person can see something. */
export function isSeen(element: HTMLElement | null): boolean {
  return (
    element !== null &&
    element.getClientRects().length > 0 &&
    getComputedStyle(element).visibility === "visible"
  );
}

/** What has the focus: its part, or its id where it has none. */
export function focused(): string {
  let { activeElement } = document;
  while (activeElement?.shadowRoot?.activeElement) activeElement = activeElement.shadowRoot.activeElement;
  return activeElement?.getAttribute("part") ?? activeElement?.id ?? "";
}
