import { shownUrl } from "../../transport/shown-url.ts";
import { hasCredentialInQuery } from "./credentials.ts";

/** Whether a text has the form of a token: 32 bytes or more, as base64url. */
export function isToken(text: string): boolean {
  return /^[\w-]{43,512}$/.test(text);
}

/** The URL of a gateway in its parts. */
export interface GatewayUrl {
  /** Without the fragment; its path names the configuration. */
  url: URL;
  /** The token in the fragment. */
  token?: string;
}

/**
 * Reads the URL that nbd-gateway prints, "http://HOST:PORT/#TOKEN" or the same with https. The fragment may be missing, and the
 * path may name a configuration.
 *
 * @throws TypeError when it is another URL, without its secrets
 */
export function gatewayUrl(text: string): GatewayUrl {
  const shown = shownUrl(text);
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    throw new TypeError(`"${shown}" is not an http:// or https:// URL`);
  }
  const url = new URL(text);
  if (url.port === "0") throw new TypeError(`${shown}: 0 is not a valid port`);
  if (url.username || url.password) {
    throw new TypeError(`${shown}: a user and a password cannot be sent beside the login`);
  }
  if (hasCredentialInQuery(url.search)) {
    throw new TypeError(`${shown}: a token does not belong in a query, which servers log; write #TOKEN`);
  }
  const token = url.hash.slice(1);
  url.hash = "";
  if (token === "") return { url };
  if (!isToken(token))
    throw new TypeError(`${shown}: what follows "#" is not a token, of at least 43 characters`);
  return { url, token };
}

/** The URL of the WebSocket that belongs to a gateway's URL. */
export function webSocketUrlOf(url: URL): string {
  return url.href.replace(/^http/, "ws");
}
