/** Where the page has what a person sees and touches. The functions run in the page: each stands for itself. */

/** What a card has, by the names of the parts of <nbd-media>. */
export type Part =
  | "label"
  | "place"
  | "file"
  | "file-name"
  | "file-size"
  | "drop"
  | "url"
  | "use-url"
  | "serve"
  | "stop"
  | "take-over"
  | "go-on"
  | "eject"
  | "state"
  | "detail"
  | "remedy"
  | "last-read"
  | "covered-text"
  | "log";

/** What the page has beside its cards. */
export type Outside =
  | "token"
  | "show-token"
  | "login-words"
  | "log-out"
  | "language"
  | "machine"
  | "news"
  | "tell-me"
  | "told"
  | "before"
  | "lacks"
  | "question";

/** What a card is at; as the element itself calls it. */
export type Kind =
  | "starting"
  | "free"
  | "looking"
  | "bad-file"
  | "bad-url"
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
  return state?.dataset.state ?? "";
}

/** The names of the configurations that have a card. */
export function cardNames(): string[] {
  const endpoints = [...document.querySelectorAll("nbd-media")].map((card) => card.getAttribute("endpoint")!);
  return endpoints.map((url) => decodeURIComponent(url.slice(url.lastIndexOf("/") + 1)));
}

/** A part of the card of a configuration; null: of the only card, or of that which comes first. */
export function partOf(card: string | null, part: Part): HTMLElement | null {
  const cards = [...document.querySelectorAll("nbd-media")];
  const nameOf = (element: Element) =>
    decodeURIComponent(element.getAttribute("endpoint")!.replace(/^.*\//, ""));
  const found = card === null ? cards[0] : cards.find((element) => nameOf(element) === card);
  return found?.shadowRoot?.querySelector<HTMLElement>(`[part~="${part}"]`) ?? null;
}

/** Whether a person can see something. */
export function isSeen(element: HTMLElement | null): boolean {
  return (
    element !== null &&
    element.getClientRects().length > 0 &&
    getComputedStyle(element).visibility === "visible"
  );
}

/** What has the focus, in a card too. */
export function focusedElement(): Element | null {
  let { activeElement } = document;
  while (activeElement?.shadowRoot?.activeElement) activeElement = activeElement.shadowRoot.activeElement;
  return activeElement;
}
