import { HttpError } from "./http-error.ts";

/** Where a page is, or its Worker. */
export type PageLocation = Pick<Location, "origin" | "protocol">;

/** Hosts that a page over https may ask without TLS. */
const OWN_MACHINE = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/;

/** Why a page may not even ask for a URL. */
export function mixedContent(url: URL, page: PageLocation | undefined): HttpError | undefined {
  if (page?.protocol !== "https:" || url.protocol !== "http:" || OWN_MACHINE.test(url.hostname)) {
    return undefined;
  }
  const words = "a page that came over https may not read over http; use an https:// URL, or nbd-serve";
  return new HttpError("mixed-content", words);
}

/**
 * Whether there is a server at all. A browser does not say why a page's `fetch` has failed. So it is asked for something whose
 * answer the page may not see: if there is one, it was the page that may not read.
 */
export async function isThere(
  url: URL,
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
): Promise<boolean> {
  const looking = new AbortController();
  const giveUp = () => looking.abort();
  signal.addEventListener("abort", giveUp);
  try {
    await fetch(url.href, {
      mode: "no-cors",
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      signal: looking.signal,
    });
    return true;
  } catch {
    return false;
  } finally {
    signal.removeEventListener("abort", giveUp);
    // All of the file would follow.
    giveUp();
  }
}

/** The fault of a page's `fetch` that says nothing. */
export function unreachableFromPage(cause: unknown): HttpError {
  const words =
    "there is no answer: the server cannot be reached, its certificate is not trusted, or this page may not ask it (connect-src)";
  return new HttpError("unreachable", words, { mayPass: true, cause });
}

/**
 * The server of another origin is there, and the page may not see its answers.
 * @param names headers that the page sends, which the server has to allow
 */
export function forbiddenToPage(cause: unknown, page: PageLocation, names: readonly string[]): HttpError {
  const allow = names.length > 0 ? ` or "Access-Control-Allow-Headers: ${names.join(", ")}"` : "";
  const words = `the server is there, and does not let this page read: it does not answer with "Access-Control-Allow-Origin: ${page.origin}"${allow}`;
  return new HttpError("cors", words, { cause });
}

/** An answer has no header that a page of another origin sees only if the server says so. */
export function hiddenRange(): HttpError {
  const words =
    'the server does not let this page see which part it sends: its answers lack "Access-Control-Expose-Headers: Content-Range, ETag"';
  return new HttpError("cors-headers", words);
}
