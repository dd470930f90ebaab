/** An image at an address. */
export interface WebFile {
  /** An http(s) URL, with the secrets that it has. */
  readonly url: string;
  readonly name: string;
  /** In bytes, when it was looked at; 0 before that. */
  readonly size: number;
}

/** What a card serves. */
export type Source = File | WebFile;

export function isWebFile(source: Source): source is WebFile {
  return "url" in source;
}

/** What is at an address, before it is looked at. It is called as the last part of the URL's path. */
export function webFileAt(url: string): WebFile {
  const text = url.trim();
  return { url: text, name: nameIn(text), size: 0 };
}

/** The host of its URL; "" if that is none. */
export function hostOf({ url }: WebFile): string {
  return partsOf(url)?.host ?? "";
}

/** Nothing is told of a text that is no such URL: any part of it may be a secret. */
function partsOf(url: string): URL | undefined {
  const parts = URL.canParse(url) ? new URL(url) : undefined;
  return parts && /^https?:$/.test(parts.protocol) ? parts : undefined;
}

function nameIn(url: string): string {
  const { pathname = "", host = "" } = partsOf(url) ?? {};
  const last = pathname.split("/").filter(Boolean).at(-1) ?? host;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}
