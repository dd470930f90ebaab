import type { PageWords } from "../words/page-words.ts";
import { answerOf, PATIENCE } from "./answer.ts";

/** Stands for a cookie, which a page cannot see. */
const COOKIE = "cookie";

/** What a login is kept under. Several gateways may lie below paths of one origin. */
const KEY = `nbd-proxy login ${new URL(".", location.href).pathname}`;

/**
 * Takes the token out of the page's URL: the fragment of the URL that `nbd-gateway` prints. It is no longer in the address bar
 * nor in the history of the tab then.
 */
export function takeToken(): string {
  const url = new URL(location.href);
  const token = tokenIn(url.hash);
  if (url.hash) {
    url.hash = "";
    history.replaceState(null, "", url.href.replace(/#$/, ""));
  }
  return token;
}

/** The token in what a person pastes: the token itself, or the URL that `nbd-gateway` prints. */
export function tokenIn(text: string): string {
  return text.slice(text.lastIndexOf("#") + 1).trim();
}

/**
 * This page's login at its gateway. Over TLS the browser has it, as a cookie that no script can read; over plain HTTP it is a
 * session id, kept for this tab, as a cookie would be sent to every port of the host.
 */
export class Login {
  readonly #words: () => PageWords["login"];
  /** A session id or `COOKIE`; undefined if there is no login, or the server needs none. */
  #kept: string | undefined = read("sessionStorage") ?? read("localStorage");

  /** @param words in which refusals are told */
  constructor(words: () => PageWords["login"]) {
    this.#words = words;
  }

  get isKept(): boolean {
    return this.#kept !== undefined;
  }

  /** What a plain request needs to be let in. */
  get headers(): Record<string, string> {
    const id = this.#sessionId;
    return id === undefined ? {} : { Authorization: `Bearer ${id}` };
  }

  /**
   * The subprotocols that a WebSocket needs to be let in. None where there is no login: a relay need not know of any, and a
   * browser hangs up where none of those that it asks for is chosen.
   */
  protocols(...more: string[]): string[] {
    const id = this.#sessionId;
    const asked = id === undefined ? more : [`token.${id}`, ...more];
    return asked.length > 0 ? ["nbd", ...asked] : [];
  }

  /** @returns why there is no login now, in words; undefined if there is, or if this server has none */
  async logIn(token: string): Promise<string | undefined> {
    const response = await post("login", { "Content-Type": "application/json" }, JSON.stringify({ token }));
    const words = this.#words();
    if (!response) return words.noAnswer(location.host);
    const { status } = response;
    if (status === 401) return words.wrong;
    if (status === 429) return words.tooMany(secondsIn(response.headers.get("Retry-After")));
    if (status === 204) return this.#keep(COOKIE);
    if (response.ok) return this.#keep(sessionIn(await response.json().catch(() => undefined)));
    // If it wants a token all the same, its next answer says so.
    return hasNoLogin(response) ? undefined : answerOf(response);
  }

  /** @returns why the login has not ended, in words; undefined if it has */
  async logOut(): Promise<string | undefined> {
    const response = await post("logout", this.headers);
    if (!response) return this.#words().noAnswer(location.host);
    // 401: it had ended before.
    if (!response.ok && response.status !== 401 && !hasNoLogin(response)) return answerOf(response);
    this.forget();
    return undefined;
  }

  /** Forgets a login that has ended. */
  forget(): void {
    this.#keep(undefined);
  }

  get #sessionId(): string | undefined {
    return this.#kept === COOKIE ? undefined : this.#kept;
  }

  #keep(login: string | undefined): undefined {
    this.#kept = login;
    // All tabs have the same cookies; a session id is for this tab alone.
    write("localStorage", login === COOKIE ? login : undefined);
    write("sessionStorage", login === COOKIE ? undefined : login);
  }
}

/** Posts to the gateway. A redirect is not followed, as it would take the token elsewhere. Undefined if there is no answer. */
async function post(
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Response | undefined> {
  const signal = AbortSignal.timeout(PATIENCE);
  const request: RequestInit = { method: "POST", headers, cache: "no-store", redirect: "manual", signal };
  // A relative path: a proxy may have put the gateway below a path.
  return fetch(path, body === undefined ? request : { ...request, body }).catch(() => undefined);
}

/** Whether a server does not know what to do with a login: a relay, or a server of files. */
function hasNoLogin({ status }: Response): boolean {
  return status === 404 || status === 405 || status === 501;
}

/** The session id in an answer, in a form that a header and a subprotocol can have. */
function sessionIn(answer: unknown): string | undefined {
  const { session } = (answer ?? {}) as { session?: unknown };
  return typeof session === "string" && /^[\w.-]+$/.test(session) ? session : undefined;
}

function secondsIn(header: string | null): string | undefined {
  return /^\d+$/.test(header ?? "") ? header! : undefined;
}

/** Where a browser keeps something for one tab, or for all. */
type Kept = "sessionStorage" | "localStorage";

/** A browser may have been told to keep nothing. Then a login lasts until the page is left. */
function read(where: Kept): string | undefined {
  try {
    return globalThis[where].getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

function write(where: Kept, value: string | undefined): void {
  try {
    if (value === undefined) globalThis[where].removeItem(KEY);
    else globalThis[where].setItem(KEY, value);
  } catch {
    // See read().
  }
}
