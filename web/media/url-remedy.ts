import type { HttpFault } from "../../src/export/http/http-error.ts";

/** What can be done about an image at an address that cannot be had. */
export type UrlRemedy =
  /** To write it otherwise, or to look whether there is anything. */
  | "address"
  | "login"
  | "new-signature"
  /** To have the server answer with a header, or to read it where no browser forbids it. */
  | "header"
  | "https"
  /** To download it, as this server cannot be read in parts. */
  | "download"
  | "wait";

const REMEDIES: Readonly<Partial<Record<HttpFault, UrlRemedy>>> = {
  "mixed-content": "https",
  unauthorized: "login",
  forbidden: "new-signature",
  busy: "wait",
  unreachable: "wait",
  timeout: "wait",
  "broken-off": "wait",
  "no-ranges": "download",
  "range-refused": "download",
  "content-range": "download",
  compressed: "download",
  "no-size": "download",
  "too-short": "download",
  "too-long": "download",
  cors: "header",
  "cors-headers": "header",
};

/** @param code undefined: nothing could be asked yet */
export function urlRemedy(code: HttpFault | undefined): UrlRemedy {
  return code === undefined ? "wait" : (REMEDIES[code] ?? "address");
}
