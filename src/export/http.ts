import { type Clock, computerClock } from "../resuming/clock.ts";
import { checkSignal, checkType, checkWhole, LONGEST_TIMER } from "../streams/check.ts";
import { deadline } from "../streams/deadline.ts";
import { type AsyncDisposable, disposable } from "../streams/disposable.ts";
import type { Export } from "./export.ts";
import { HttpFile } from "./http/http-file.ts";
import type { HttpIdentity } from "./http/identity.ts";
import { splitSecrets } from "./http/own-headers.ts";
import type { PageLocation } from "./http/page-fault.ts";

export interface HttpExportOptions {
  /** Sent to the URL's own origin only, also after redirects. */
  headers?: Readonly<Record<string, string>>;
  /** Milliseconds that the server may be silent, before its answer and within. Default 20,000. */
  timeout?: number;
  /** How often a read is tried again when what went wrong may pass. Default 8, which is about half a minute. */
  retries?: number;
  /** How many parts are asked for at a time. Default 16, in pages 6. */
  concurrency?: number;
  /** Called with a line for people: where a redirect leads, that the server fails and is tried again. */
  onnote?: (line: string) => void;
  /** Cancels the opening. */
  signal?: AbortSignal;
  /** In place of the runtime's. It is given a URL, and `redirect: "manual"` wherever redirects can be followed by hand. */
  fetch?: typeof globalThis.fetch;
  /** Times waits and silence. */
  clock?: Clock;
  /** The page's address. Default: `globalThis.location`. */
  location?: PageLocation | undefined;
}

/** A file on a web server or object store, read-only. Its reads fail with an `HttpError`. */
export interface HttpExport extends Export {
  /** Where the file was found last, after redirects, without secrets. */
  readonly url: string;
  /**
   * Asks the server what the file is now, for who has to know that it is still the same.
   * @throws HttpError when there is no answer, which may pass
   */
  identity(): Promise<HttpIdentity>;
}

/**
 * Exports a file at an http(s) URL, which is read in parts by range requests. Each part must be of the file that was there
 * first; once it is another one, all reads fail. What may pass is tried again.
 *
 * A user and password in the URL are sent as a header. No message or note has them, the query or the fragment.
 *
 * A read costs a round trip, however short it is: the filters `windows` and `fast` stand above it.
 *
 * @throws HttpError when the file cannot be read so, with a `code` and words
 * @throws TypeError, RangeError when an option is wrong
 */
export async function httpExport(
  url: string | URL,
  options: HttpExportOptions = {},
): Promise<HttpExport & AsyncDisposable> {
  if (!(url instanceof URL)) checkType(url, "the URL of a file", "string");
  const page = "location" in options ? options.location : pageLocation();
  const {
    timeout = 20_000,
    retries = 8,
    concurrency = page ? 6 : 16,
    onnote = () => {},
    fetch = globalThis.fetch,
    clock = { ...computerClock(), after: deadline },
    headers,
    signal,
  } = options;
  checkWhole(timeout, "timeout, in milliseconds,", 1, LONGEST_TIMER);
  checkWhole(retries, "retries");
  checkWhole(concurrency, "concurrency", 1);
  checkType(onnote, "onnote", "function");
  checkType(fetch, "fetch", "function");
  checkSignal(signal, "the signal");
  const { url: plain, own } = splitSecrets(url, headers);
  const file = new HttpFile(plain, own, {
    // A browser's is called as a method of the global object only.
    fetch: (input, init) => fetch(input, init),
    timeout,
    retries,
    concurrency,
    onnote,
    clock,
    page,
  });
  await file.open(signal);
  return disposable<HttpExport>({
    size: file.size,
    get url() {
      return file.url;
    },
    read: (offset, length, { signal } = {}) => file.read(offset, length, signal),
    identity: () => file.identity(),
    close: () => file.close(),
  });
}

/** Where the page is that this runs in, or its Worker; undefined: in no page. */
function pageLocation(): PageLocation | undefined {
  return (globalThis as { location?: PageLocation }).location;
}
