import { SourceError } from "./source-error.ts";
import type { Source } from "./sources.ts";
import { textFault, urlFault } from "./url-fault.ts";

/** A URL that may be fetched. */
export interface AllowedSource {
  readonly url: URL;
  /** Networks that its host may be in although they are not public. */
  readonly addresses: readonly string[];
}

/**
 * Decides whether a URL may be fetched: whether it is under one of the sources, by origin and whole segments of the path.
 * @param text as it came, not as a parser has made it
 * @throws SourceError, in words
 */
export function allowedSource(text: string, sources: readonly Source[]): AllowedSource {
  const fault = urlFault(text);
  if (fault) throw new SourceError(text, fault);
  const url = new URL(text);
  const above = sources.filter((source) => isUnder(url, new URL(source.url)));
  if (above.length === 0) {
    throw new SourceError(text, 'it is under none of the "sources" of this configuration');
  }
  if (url.pathname.endsWith("/")) throw new SourceError(text, "it names a folder, not a file");
  if (text.includes("?") && !above.some(({ queries }) => queries)) {
    throw new SourceError(text, 'it has a query; its entry in "sources" needs "queries": true for that');
  }
  // Connections are kept for an origin, so the addresses are those of the origin too.
  const addresses = sources
    .filter((source) => new URL(source.url).origin === url.origin)
    .flatMap((source) => source.addresses);
  return { url, addresses };
}

/**
 * Decides whether a redirect may be followed.
 * @param location the header Location
 * @throws SourceError, in words
 */
export function allowedRedirect(from: URL, location: string, sources: readonly Source[]): AllowedSource {
  try {
    const to = allowedSource(absolute(location, from), sources);
    if (from.protocol !== "https:" || to.url.protocol === "https:") return to;
    throw new SourceError(to.url, "it leads from https to http");
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw new SourceError(from, `it is redirected, and then ${error.forOthers}`);
  }
}

function absolute(location: string, from: URL): string {
  if (/^[a-z][a-z\d+.-]*:/i.test(location)) return location;
  const fault = textFault(location);
  if (fault) throw new SourceError(location, fault);
  if (!URL.canParse(location, from)) throw new SourceError(location, "it is not a valid URL");
  return new URL(location, from).href;
}

function isUnder({ origin, pathname }: URL, prefix: URL): boolean {
  if (origin !== prefix.origin) return false;
  return prefix.pathname.endsWith("/") ? pathname.startsWith(prefix.pathname) : pathname === prefix.pathname;
}
