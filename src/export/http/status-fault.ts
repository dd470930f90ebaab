import { HttpError, type HttpFault } from "./http-error.ts";
import { retryAfter } from "./retry-after.ts";

/** What statuses mean to who gave the URL. */
const faults: Readonly<Record<number, readonly [HttpFault, string]>> = {
  401: ["unauthorized", "the server wants a login; give a user and password, or a header"],
  403: ["forbidden", "the server does not allow it; if the URL is signed, it may have expired"],
  404: ["not-found", "there is no such file"],
  410: ["gone", "the file was removed for good"],
  416: ["range-refused", "the server refuses to send this part of the file"],
};

/** Statuses below 500 that another attempt may mend. */
const PASSING = new Set([408, 425, 429]);

/** The fault of an answer that is neither a file nor a part of one. */
export function statusFault({ status, headers }: Response): HttpError {
  if (status >= 500 || PASSING.has(status)) {
    const words = `the server cannot answer now (${status})`;
    return new HttpError("busy", words, { status, mayPass: true, retryAfter: retryAfter(headers) });
  }
  const [code, words] = faults[status] ?? ["status", "the server's answer makes no sense here"];
  return new HttpError(code, `${words} (${status})`, { status });
}
