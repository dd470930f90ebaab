import { isIP } from "node:net";
import { quoted } from "../streams/quoted.ts";

/** The Host and Origin headers of a request. */
export interface Claims {
  host?: string | undefined;
  origin?: string | undefined;
  /** The request came over TLS: an Origin has to be https, or who sits on the way could make one. */
  isSecure?: boolean;
}

export interface Foreign {
  /** For the other side, which is told nothing of our configuration. */
  words: string;
  /** For the log: what was wrong, and what to do about it. */
  advice: string;
}

/**
 * Says why a request must not be served; undefined if it may be. The rules keep the pages of other sites out, even in the
 * browser of a user who may get in:
 *
 * - The Host must be an IP address, `localhost` or an allowed name. Otherwise an attacker's DNS could point a name of theirs
 *   here (rebinding).
 * - The Origin, if there is one, must be the same host and port, over TLS with https. `null` is refused.
 *
 * @param allowedHosts as `allowedHost` gives them; and as certificates have them, where `*` stands for one label
 */
export function foreign(
  { host, origin, isSecure }: Claims,
  allowedHosts: readonly string[],
): Foreign | undefined {
  const url = parse(`http://${host}`);
  // What is more than a host and a port would be left out, or be written in another way.
  if (!host || !url || url.host !== host.toLowerCase().replace(/:80$/, "")) {
    const words = "malformed Host header";
    return { words, advice: words };
  }
  const name = withoutBrackets(url.hostname);
  const isKnown = isIP(name) || name === "localhost" || isAmong(allowedHosts, name.replace(/\.$/, ""));
  if (!isKnown) {
    return {
      words: "this host name is not allowed here; the log of the gateway says what to set",
      advice: `the host name ${quoted(name)} is not allowed; if it is yours, add it to "allowed-hosts"`,
    };
  }
  if (origin === undefined) return undefined;
  const from = parse(origin);
  const scheme = isSecure ? /^https:$/ : /^https?:$/;
  if (!from || !scheme.test(from.protocol) || from.host !== parse(`${from.protocol}//${host}`)?.host) {
    const words = "the request comes from another web page";
    return { words, advice: `${words}; behind a reverse proxy, have it pass on Host as the browser sent it` };
  }
  return undefined;
}

function isAmong(allowed: readonly string[], name: string): boolean {
  return allowed.includes(name) || allowed.includes(name.replace(/^[^.]+(?=\.)/, "*"));
}

/**
 * Turns a host name into the form that browsers send in the Host header: lower case, ASCII, without a dot at the end.
 * @returns undefined if it is not exactly one host name
 */
export function allowedHost(entry: string): string | undefined {
  const bare = withoutBrackets(entry);
  if (isIP(bare)) return bare;
  // URL would decode these characters, leave them out, or take them for another part of a URL.
  if (/[^\w.\-\u0080-\u{10ffff}]|[\s\p{C}]/u.test(entry)) return undefined;
  const name = parse(`http://${entry}`)?.hostname.replace(/\.$/, "") ?? "";
  const labels = name.split(".");
  const fits = name.length <= 253 && labels.every(({ length }) => length > 0 && length <= 63);
  return fits ? name : undefined;
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}

function parse(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
