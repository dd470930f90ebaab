import { shownUrl } from "../../transport/shown-url.ts";
import { HttpError } from "./http-error.ts";
import type { OwnHeaders } from "./own-headers.ts";

/** How many redirects are followed, one after the other. */
const MOST = 5;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** An answer that leads nowhere else, and the URL that gave it. */
export interface Followed {
  response: Response;
  url: URL;
}

export interface FollowOptions {
  fetch: typeof globalThis.fetch;
  own: OwnHeaders;
  /** Headers for every URL. */
  headersFor(url: URL): Record<string, string>;
  /** Refuses what may not be asked. */
  check(url: URL): void;
  signal: AbortSignal;
}

/**
 * Asks a URL, and those that it leads to. Each gets the headers that are for its origin, so redirects are followed by hand.
 *
 * A browser does not tell a page where a redirect leads, unless it follows it itself; and then it would send the headers
 * there. So it follows without them, and the URL where that ends is asked with those that are for it.
 * @throws HttpError when a redirect leads nowhere, to where it may not lead, or there are too many
 */
export async function follow(start: URL, options: FollowOptions): Promise<Followed> {
  const { fetch, own, signal } = options;
  const ask = (url: URL, redirect: RequestRedirect, headers: Headers) => {
    options.check(url);
    for (const [name, value] of Object.entries(options.headersFor(url))) headers.set(name, value);
    // A browser would let only one range of a URL be read at a time, to see whether its cache has the next.
    return fetch(url.href, { headers, redirect, signal, cache: "no-store", referrerPolicy: "no-referrer" });
  };
  let url = start;
  for (let redirects = 0; redirects <= MOST; redirects++) {
    let response = await ask(url, "manual", own.for(url));
    let next: URL;
    if (response.type === "opaqueredirect") {
      response = await ask(url, "follow", new Headers());
      next = checked(url, response.url, response);
      const isDone = own.namesFor(next).length === 0;
      if (isDone && (response.ok || own.namesFor(url).length === 0)) return { response, url: next };
      if (!response.redirected || isDone) throw unknownRedirect(response);
    } else {
      if (!REDIRECTS.has(response.status)) return { response, url };
      next = checked(url, response.headers.get("location"), response);
    }
    cancel(response);
    url = next;
  }
  throw new HttpError(
    "redirect",
    `the server redirects more than ${MOST} times; the last led to ${shownUrl(url)}`,
  );
}

/** Where a redirect leads, without secrets that are not for us to send. */
function checked(from: URL, location: string | null, response: Response): URL {
  let to: URL | undefined;
  try {
    to = location ? new URL(location, from) : undefined;
  } catch {
    // It stays undefined.
  }
  let fault: string | undefined;
  if (!to) fault = "to nowhere";
  else if (!/^https?:$/.test(to.protocol)) fault = `to ${to.protocol}, where no file can be read from`;
  else if (from.protocol === "https:" && to.protocol === "http:") {
    fault = `from https to ${shownUrl(to)}, where anybody on the way could change the file`;
  }
  if (to && !fault) {
    to.username = "";
    to.password = "";
    to.hash = "";
    return to;
  }
  cancel(response);
  throw new HttpError("redirect", `the server redirects (${response.status}) ${fault}`);
}

function unknownRedirect(response: Response): HttpError {
  cancel(response);
  const words =
    "the server redirects those who send headers or a password, and a browser does not tell a page where to; use the URL that it leads to";
  return new HttpError("redirect", words);
}

function cancel({ body }: Response): void {
  body?.cancel().catch(() => {});
}
