/** Characters of the longest URL; those that object stores sign have up to 3,000. */
const LONGEST_URL = 8192;

/** A ".", "/", "\" or control character that is encoded, once or several times: some servers decode more than once. */
const ENCODED = /%(25)*(2e|2f|5c|[01][\da-f]|7f)/i;

/**
 * What is wrong with the text of a URL or of a part of one; undefined if nothing is. URL parsers, proxies and servers differ
 * in what they make of such texts, so that what was compared would not be what is served.
 */
export function textFault(text: string): string | undefined {
  if (text.length > LONGEST_URL) return `it has more than ${LONGEST_URL} characters`;
  if (/[\s\p{C}]/u.test(text)) return "it has blanks or control characters";
  if (text.includes("\\")) return 'it has a "\\"';
  if (text.includes("#")) return 'it has a "#"';
  const [path] = text.split("?", 1) as [string];
  if (ENCODED.test(path)) return 'it has a ".", "/", "\\" or control character that is encoded';
  if (!isDecodable(path)) return 'it has a "%" that does not encode UTF-8';
  // What follows a ";" is a parameter of the segment, and some servers look at the segment without it.
  if (path.split("/").some((segment) => /^(\.\.?$|\.{0,2};)/.test(segment))) {
    return 'it has a segment ".", ".." or ";"';
  }
  return undefined;
}

/** What is wrong with the text of an absolute http(s) URL; undefined if nothing is. */
export function urlFault(text: string): string | undefined {
  const fault = textFault(text);
  if (fault) return fault;
  const [, authority, path = ""] = /^https?:\/\/([^/?]+)([^?]*)/i.exec(text) ?? [];
  if (authority === undefined) return "it is not an http:// or https:// URL";
  if (authority.includes("@")) return "it has a user or a password";
  if (!URL.canParse(text)) return "it is not a valid URL";
  if (path.includes("//")) return "it has an empty segment";
  return undefined;
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
