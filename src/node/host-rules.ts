import { isIP } from "node:net";
import { quoted } from "../streams/quoted.ts";

/** What a request says about where it goes to and where it comes from. */
export interface Claims {
  host?: string | undefined;
  origin?: string | undefined;
}

export interface Foreign {
  /** For the other side, which is told nothing of our configuration. */
  words: string;
  /** For the log: what was wrong, and what to do about it. */
  advice: string;
}

/**
 * Says why a request must not be served, or undefined when it may. No other web page is to reach us through the browser of
 * somebody who can:
 *
 * - the Host must be an IP literal, `localhost` or an allowed name, so that a name which an attacker's DNS points here
 *   (rebinding) is of no use;
 * - an Origin, where there is one, must be the same host and port. `null` never is.
 *
 * @param allowedHosts as `allowedHost` gives them
 */
export function foreign({ host, origin }: Claims, allowedHosts: readonly string[]): Foreign | undefined {
  const url = parse(`http://${host}`);
  if (!host || !url || url.host !== host.toLowerCase().replace(/:80$/, "")) {
    const words = "malformed Host header";
    return { words, advice: words };
  }
  const name = withoutBrackets(url.hostname);
  const isKnown = isIP(name) || name === "localhost" || allowedHosts.includes(name.replace(/\.$/, ""));
  if (!isKnown) {
    return {
      words: "this host name is not allowed here; the log of the gateway says what to set",
      advice: `the host name ${quoted(name)} is not allowed; if it is yours, add it to "allowed-hosts"`,
    };
  }
  if (origin === undefined) return undefined;
  const from = parse(origin);
  if (!from || !/^https?:$/.test(from.protocol) || from.host !== parse(`${from.protocol}//${host}`)?.host) {
    const words = "the request comes from another web page";
    return { words, advice: `${words}; behind a reverse proxy, have it pass on Host as the browser sent it` };
  }
  return undefined;
}

/**
 * A host name as the Host header of a browser has it: in lower case, in ASCII, without the dot at its end.
 * @returns undefined when no Host header can have it: it is not a name, or more than one
 */
export function allowedHost(entry: string): string | undefined {
  const bare = withoutBrackets(entry);
  if (isIP(bare)) return bare;
  // What is not of a name URL takes for something else, decodes or leaves out.
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
