import { type Agent, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { readableOf } from "../node-stream.ts";
import { isTls } from "../tls-connection.ts";
import { SourceError } from "./source-error.ts";

/** What of a request's settings is heeded. */
export type PinnedInit = Pick<RequestInit, "method" | "headers" | "signal" | "redirect">;

export interface Route {
  /** For the protocol of the URL. */
  agent: Agent;
  /** Gives the addresses that may be connected to. */
  lookup: LookupFunction;
  /** Certificates of authorities, in PEM, in place of those that Node trusts. */
  ca?: string | undefined;
}

/** Statuses whose answers have no body. */
const BODILESS = new Set([204, 205, 304]);

/**
 * `fetch` over connections to addresses that were checked. An answer is as it came: a redirect is not followed, nothing is
 * decoded. What fails on the way is a TypeError whose cause is Node's error, as with `fetch`; a refusal of `lookup` is not.
 *
 * (Node's own `fetch` takes neither a `lookup` nor an agent without the package undici.)
 */
export function pinnedFetch(
  url: URL,
  { method = "GET", headers, signal }: PinnedInit,
  route: Route,
): Promise<Response> {
  signal?.throwIfAborted();
  const start = isTls(url.protocol) ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const request = start(url, {
      ...route,
      method,
      headers: Object.fromEntries(new Headers(headers)),
      // Said, since a variable of the environment would change the default.
      rejectUnauthorized: true,
    });
    let answer: IncomingMessage | undefined;
    const giveUp = () => void (answer ?? request).destroy(signal?.reason);
    signal?.addEventListener("abort", giveUp);
    request.once("close", () => signal?.removeEventListener("abort", giveUp));
    request.once("response", (message) => {
      answer = message;
      try {
        resolve(responseOf(message, url, method));
      } catch (cause) {
        message.destroy();
        reject(failed(cause));
      }
    });
    request.once("upgrade", (_message, connection) => {
      connection.destroy();
      reject(failed(new Error("the server's answer is not what was asked for")));
    });
    request.on("error", (error) => {
      if (signal?.aborted) reject(signal.reason);
      else reject(error instanceof SourceError ? error : failed(error));
    });
    request.end();
  });
}

function responseOf(message: IncomingMessage, url: URL, method: string): Response {
  const { statusCode: status = 0, statusMessage: statusText = "", rawHeaders } = message;
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) headers.append(rawHeaders[at]!, rawHeaders[at + 1]!);
  const isEmpty = method === "HEAD" || BODILESS.has(status);
  if (isEmpty) message.resume();
  const response = new Response(isEmpty ? null : readableOf(message), { status, statusText, headers });
  // A constructor cannot set it.
  return Object.defineProperty(response, "url", { value: url.href });
}

function failed(cause: unknown): TypeError {
  return new TypeError("fetch failed", { cause });
}
