import { Errno, ExportError } from "../error.ts";

/** What is wrong with a file on a web server. Programs and pages have their own words for some of these. */
export type HttpFault =
  /** It is no http(s) URL. */
  | "url"
  /** An http URL in a page that came over https. */
  | "mixed-content"
  /** 401, 403, 404, 410, 416, and any other status that makes no sense here. */
  | "unauthorized"
  | "forbidden"
  | "not-found"
  | "gone"
  | "range-refused"
  | "status"
  /** 408, 425, 429 or 5xx, also after all attempts. */
  | "busy"
  /** The server sends all of the file in place of a part. */
  | "no-ranges"
  | "content-range"
  | "compressed"
  | "too-short"
  | "too-long"
  | "no-size"
  | "empty"
  /** Too many redirects, or one that leads nowhere, or to where it must not be followed. */
  | "redirect"
  | "certificate"
  /** There was no answer: no such host, nothing listens, no HTTP. */
  | "unreachable"
  | "timeout"
  /** The answer ended before all of it had come. */
  | "broken-off"
  /** The server does not let this page read its answers, or not the headers that are needed. */
  | "cors"
  | "cors-headers"
  /** Another file is at the URL now. It stays so: an export is one file. */
  | "changed"
  | "closed";

export interface HttpErrorOptions extends ErrorOptions {
  /** Of the answer. */
  status?: number | undefined;
  mayPass?: boolean;
  /** Milliseconds. */
  retryAfter?: number | undefined;
}

/** A file on a web server cannot be read. The message has no secrets of the URL. */
export class HttpError extends ExportError {
  override name = "HttpError";
  readonly code: HttpFault;
  readonly status: number | undefined;
  /** Whether another attempt may mend it. */
  readonly mayPass: boolean;
  /** How many milliseconds the server asks to wait. */
  readonly retryAfter: number | undefined;

  constructor(code: HttpFault, message: string, options: HttpErrorOptions = {}) {
    const { status, mayPass = false, retryAfter, ...rest } = options;
    super(Errno.EIO, message, rest);
    this.code = code;
    this.status = status;
    this.mayPass = mayPass;
    this.retryAfter = retryAfter;
  }

  /** The same fault, with what was being done before the words. */
  while(doing: string): HttpError {
    const { status, mayPass, retryAfter } = this;
    return new HttpError(this.code, `${doing}: ${this.message}`, {
      status,
      mayPass,
      retryAfter,
      cause: this,
    });
  }
}
