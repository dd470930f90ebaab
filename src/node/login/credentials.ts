import type { IncomingHttpHeaders } from "node:http";

/** What a request shows to be let in. */
export interface Credential {
  secret: string;
  /** A cookie is sent by the browser, whoever makes it ask; the others are sent by those who have them. */
  by: "header" | "subprotocol" | "cookie";
}

/** The subprotocol of all that is NBD. */
const NBD = "nbd";

/** A token as a subprotocol, beside others. */
const PREFIX = "token.";

/** A token, or the id of a login. */
const CREDENTIAL = /^(s\.)?[\w-]{43,512}$/;

/**
 * The credential of a request: of the header Authorization, else of a WebSocket's subprotocols, else of a cookie over TLS.
 * @param cookieName the name of the cookie that counts; undefined: none does
 */
export function credentialOf(
  headers: IncomingHttpHeaders,
  isWebSocket: boolean,
  cookieName: string | undefined,
): Credential | undefined {
  const [, bearer] = /^Bearer +(\S+)\s*$/i.exec(headers.authorization ?? "") ?? [];
  if (bearer !== undefined) return { secret: bearer, by: "header" };
  const inProtocol = isWebSocket ? ofSubprotocols(protocolsOf(headers)) : undefined;
  if (inProtocol !== undefined) return { secret: inProtocol, by: "subprotocol" };
  const inCookie = cookieName === undefined ? undefined : ofCookies(headers.cookie ?? "", cookieName);
  return inCookie === undefined ? undefined : { secret: inCookie, by: "cookie" };
}

/**
 * The subprotocol to answer a WebSocket with, of those that were offered: "nbd"; or the only one, as clients of OpenBMC offer
 * their token alone, and browsers end a WebSocket whose subprotocol is not answered. False: none.
 */
export function subprotocolOf(offered: ReadonlySet<string>): string | false {
  if (offered.has(NBD)) return NBD;
  const [only = ""] = offered;
  return offered.size === 1 && only !== "take-over" && !only.startsWith(PREFIX) ? only : false;
}

function protocolsOf(headers: IncomingHttpHeaders): string[] {
  return (headers["sec-websocket-protocol"] ?? "").split(",").map((one) => one.trim());
}

function ofSubprotocols(protocols: readonly string[]): string | undefined {
  const marked = protocols.find((one) => one.startsWith(PREFIX));
  if (marked !== undefined) return marked.slice(PREFIX.length);
  const [only = ""] = protocols;
  return protocols.length === 1 && CREDENTIAL.test(only) ? only : undefined;
}

function ofCookies(cookies: string, name: string): string | undefined {
  const cookie = cookies
    .split(";")
    .map((one) => one.trim())
    .find((one) => one.startsWith(`${name}=`));
  return cookie?.slice(name.length + 1);
}

/** Names that a query would have for a token. */
const NAMES = /^(access[_-]?token|auth|authorization|credential|session|tkn|token)$/i;

/** Whether a target's query has a token, or would have if it were one. */
export function hasCredentialInQuery(target: string): boolean {
  const query = target.split("?").slice(1).join("?");
  if (query === "") return false;
  return [...new URLSearchParams(query)].some(
    ([name, value]) => NAMES.test(name) || CREDENTIAL.test(value) || CREDENTIAL.test(name),
  );
}

/** A target for the log: without its query, and without what has the form of a credential. */
export function withoutCredentials(target: string): string {
  const path = target.replace(/[?#].*/s, (rest) => `${rest[0]}…`);
  return path.replace(/(?<![\w-])[\w-]{43,512}(?![\w-])/g, "…");
}
