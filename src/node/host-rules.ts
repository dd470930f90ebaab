import { isIP } from "node:net";

/**
 * Says why a request must not be served, or undefined when it may. No other web page is to get through the browser of
 * somebody who can:
 *
 * - the Host must be an IP literal, `localhost` or an allowed name, so that a name which an attacker's DNS points
 *   here (rebinding) is of no use;
 * - an Origin, where there is one, must be the same host and port. `null` never is.
 *
 * @param allowedHosts as `allowedHost` gives them
 */
export function hostFault(
  host: string | undefined,
  origin: string | undefined,
  allowedHosts: readonly string[],
): string | undefined {
  const url = parse(`http://${host}`);
  if (!host || !url || url.host !== host.toLowerCase().replace(/:80$/, ""))
    return "the Host header makes no sense";
  const name = withoutBrackets(url.hostname);
  if (!isIP(name) && name !== "localhost" && !allowedHosts.includes(name.replace(/\.$/, ""))) {
    return `the host name ${quoted(name)} is not one of "allowed-hosts"`;
  }
  if (origin === undefined) return undefined;
  const from = parse(origin);
  if (!from || !/^https?:$/.test(from.protocol) || from.host !== parse(`${from.protocol}//${host}`)?.host) {
    return "the request comes from another web page";
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

/** What somebody else chose, quoted for a line of text and cut at 64 characters; what cannot be seen is shown as \u…. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text).replace(
    /[\p{C}\u2028\u2029]/gu,
    (unseen) => `\\u${unseen.codePointAt(0)!.toString(16).padStart(4, "0")}`,
  );
}

const SHOWN = 64;

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
