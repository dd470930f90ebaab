/** The parts of what stands behind the scheme: host and port, path, query and fragment. */
const PARTS = /^([^/\\?#]*)([^?#]*)(\?[^#]*)?/s;

/** A host, in brackets where it is an IPv6 address, and perhaps a port. */
const HOST = /^(\[[^\]]*\]|[^:@]*)(:\d*)?$/;

/**
 * A URL as it may be shown: in a log, a message, on a page. Users and passwords are left out, and so is what stands in the
 * query and the fragment, where tokens are passed. It need not be a right URL: of what has no "//" behind the scheme, or no
 * scheme, all before the last "@" is left out.
 */
export function shownUrl(url: string | URL): string {
  const [, scheme = "", rest] = /^([a-z][a-z\d+.-]*:)?\/\/(.*)$/is.exec(String(url)) ?? [];
  return rest === undefined ? behindSecrets(String(url)) : `${scheme}//${withoutSecrets(rest)}`;
}

/** A text with each URL in it as it may be shown. What stands behind a URL in a sentence is not part of it. */
export function withShownUrls(text: string): string {
  return text.replace(/\b[a-z][a-z\d+.-]{0,19}:\/\/[^\s"'<>]*[^\s"'<>.,:;!)]/gi, shownUrl);
}

function withoutSecrets(rest: string): string {
  const [, authority = "", path = "", query = ""] = PARTS.exec(rest)!;
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  // A password with a "/" or the like, which should have been encoded: whatever stands before an "@" may be part of it.
  // And of "ws:///user:password@host" the URL parser takes what stands behind the slashes for the host.
  if ((host === "" || !HOST.test(host)) && rest.includes("@")) return withoutSecrets(behindSecrets(rest));
  return `${host}${path}${query && "?…"}`;
}

function behindSecrets(text: string): string {
  return text.slice(text.lastIndexOf("@") + 1);
}
