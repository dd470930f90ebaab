import type { ServerResponse } from "node:http";

/** Lets the page of an allowed origin read an answer (https://fetch.spec.whatwg.org/#http-cors-protocol). */
export function allowReading(response: ServerResponse, origin: string): void {
  response.setHeader("Access-Control-Allow-Origin", origin);
  response.setHeader("Access-Control-Expose-Headers", "Places, Default-Configuration, Retry-After");
  response.setHeader("Vary", "Origin");
}

/** What the page of an allowed origin may ask for. Cookies are not among it. */
export const PREFLIGHT_HEADERS = {
  "Access-Control-Allow-Methods": "GET, HEAD",
  "Access-Control-Allow-Headers": "Authorization",
  "Access-Control-Max-Age": "600",
};
