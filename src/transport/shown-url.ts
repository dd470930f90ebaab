/** What follows the scheme: host and port, path, query; the fragment is dropped. */
const PARTS = /^([^/\\?#]*)([^?#]*)(\?[^#]*)?/s;

/** A host (an IPv6 address in brackets) and perhaps a port. */
const HOST = /^(\[[^\]]*\]|[^:@]*)(:\d*)?$/;

/**
 * A URL without its secrets, for logs, messages and pages. It leaves out user and password, and the query and fragment, which
 * may hold tokens. The URL need not be valid: without a "//", everything up to the last "@" is left out.
 */
export function shownUrl(url: string | URL): string {
  const [, scheme = "", rest] = /^([a-z][a-z\d+.-]*:)?\/\/(.*)$/is.exec(String(url)) ?? [];
  return rest === undefined ? behindSecrets(String(url)) : `${scheme}//${withoutSecrets(rest)}`;
}

/** A text whose URLs are without their secrets. Punctuation after a URL is not part of it. */
export function withShownUrls(text: string): string {
  return text.replace(/\b[a-z][a-z\d+.-]{0,19}:\/\/[^\s"'<>]*[^\s"'<>.,:;!)]/gi, shownUrl);
}

function withoutSecrets(rest: string): string {
  const [, authority = "", path = "", query = ""] = PARTS.exec(rest)!;
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  // If a password has a "/" or the like that is not encoded, everything before an "@" may be part of it.
  // And in "ws:///user:password@host" URL parsers take what follows the slashes for the host.
  if ((host === "" || !HOST.test(host)) && rest.includes("@")) return withoutSecrets(behindSecrets(rest));
  return `${host}${path}${query && "?…"}`;
}

function behindSecrets(text: string): string {
  return text.slice(text.lastIndexOf("@") + 1).replace(/[#].*/s, "");
}
