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

/** The host of a URL, as far as it is one. */
export function hostOf({ url }: WebFile): string {
  return URL.canParse(url) ? new URL(url).host : "";
}

/** Nothing is told of a text that is no URL: any part of it may be a secret. */
function nameIn(url: string): string {
  if (!URL.canParse(url)) return "";
  const { pathname, host } = new URL(url);
  const last = pathname.split("/").filter(Boolean).at(-1) ?? host;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}
