/** The parts of what stands behind the scheme: host and port, path, query and fragment. */
const PARTS = /^([^/\\?#]*)([^?#]*)(\?[^#]*)?/s;

/** A host, in brackets where it is an IPv6 address, and perhaps a port. */
const HOST = /^(\[[^\]]*\]|[^:@]*)(:\d*)?$/;

/**
 * A URL as it may be shown: in a log, a message, on a page. Users and passwords are left out, and so is what stands in the
 * query and the fragment, where tokens are passed. It need not be a right URL; what is none is shown as it is.
 */
export function shownUrl(url: string | URL): string {
  return String(url).replace(/^([a-z][a-z\d+.-]*:)?\/\/(.*)$/is, (_, scheme = "", rest: string) => {
    return `${scheme}//${withoutSecrets(rest)}`;
  });
}

/** A text with each URL in it as it may be shown. What stands behind a URL in a sentence is not part of it. */
export function withShownUrls(text: string): string {
  return text.replace(/\b[a-z][a-z\d+.-]{0,19}:\/\/[^\s"'<>]*[^\s"'<>.,:;!)]/gi, shownUrl);
}

function withoutSecrets(rest: string): string {
  const [, authority = "", path = "", query = ""] = PARTS.exec(rest)!;
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  // A password with a "/" or the like, which should have been encoded: whatever stands before an "@" may be part of it.
  if (!HOST.test(host) && rest.includes("@")) return withoutSecrets(rest.slice(rest.lastIndexOf("@") + 1));
  return `${host}${path}${query && "?…"}`;
}
