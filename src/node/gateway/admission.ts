import type { IncomingMessage } from "node:http";
import { foreign } from "../host-rules.ts";

/** The parts of a request that decide whether it is let in. */
export type Visit = Pick<IncomingMessage, "method" | "url" | "httpVersion" | "headers" | "rawHeaders">;

export interface Refusal {
  status: number;
  /** For the other side, in short: nothing of our configuration, no path of this machine. */
  words: string;
  /** For the log, where it is to say more: what was wrong and what to do about it. */
  advice?: string;
  /** Header lines that the status demands. */
  headers?: Readonly<Record<string, string>>;
}

/** What every way into the gateway takes. Whatever is added here is behind `admission` too. */
export const doors = {
  /** The files of the page. */
  page: { methods: ["GET", "HEAD"], isUpgrade: false },
  /** What the page offers to choose. */
  metadata: { methods: ["GET", "HEAD"], isUpgrade: false },
  /** A plain request for what takes a WebSocket. */
  notUpgraded: { methods: ["GET", "HEAD"], isUpgrade: false },
  /** A WebSocket with a session. */
  session: { methods: ["GET"], isUpgrade: true },
  /** CONNECT: never open. */
  tunnel: { methods: [], isUpgrade: false },
} as const satisfies Record<string, { methods: readonly string[]; isUpgrade: boolean }>;

export type Door = keyof typeof doors;

type Check = (visit: Visit, door: Door, allowedHosts: readonly string[]) => Refusal | undefined;

/**
 * Decides who gets in, for every door: says why a request is refused, or undefined when it is let in. Refused is
 * what another server on the way may understand in another way (RFC 9112, section 11.2), and what another site asks for.
 */
export function admission(visit: Visit, door: Door, allowedHosts: readonly string[]): Refusal | undefined {
  for (const check of checks) {
    const refusal = check(visit, door, allowedHosts);
    if (refusal) return refusal;
  }
  return undefined;
}

const bad = (words: string): Refusal => ({ status: 400, words });

const method: Check = (visit, door) => {
  const methods: readonly string[] = doors[door].methods;
  if (methods.includes(visit.method ?? "")) return undefined;
  return { status: 405, words: "only GET and HEAD are answered", headers: { Allow: methods.join(", ") } };
};

const version: Check = ({ httpVersion }, door) => {
  if (httpVersion === "1.1" || (httpVersion === "1.0" && !doors[door].isUpgrade)) return undefined;
  return bad(`HTTP/${httpVersion} is too old for this request`);
};

/** Only a path: proxies take a whole URL, or a host and port, and would look for another Host in it. */
const target: Check = ({ url = "" }) =>
  /^\/[!-~]*$/.test(url) && !url.includes("#") ? undefined : bad("the target of the request is not a path");

/** Nobody here reads a body, so its bytes would be taken for the next request. */
const body: Check = ({ headers }) => {
  if (headers["transfer-encoding"] === undefined && (headers["content-length"] ?? "0") === "0")
    return undefined;
  return bad("the request has a body");
};

/** It announces a body. */
const expectation: Check = ({ headers }) =>
  headers.expect === undefined ? undefined : bad("the header Expect is not supported");

/** Node keeps the first of several. */
const oneHost: Check = ({ rawHeaders }) => {
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "host").length;
  return hosts === 1 ? undefined : bad(`the request has ${hosts} Host headers, and needs one`);
};

/**
 * Browsers say whether the page that asks is of another site (Fetch Metadata), also where they send no Origin: for images,
 * scripts and whatever else a page has fetched without CORS. Links to the page are fine.
 */
const site: Check = ({ headers }) => {
  const from = headers["sec-fetch-site"];
  if (from === undefined || from === "same-origin" || from === "none") return undefined;
  if (headers["sec-fetch-dest"] === "document") return undefined;
  return { status: 403, words: "the request comes from another site" };
};

const hostAndOrigin: Check = ({ headers }, _door, allowedHosts) => {
  const fault = foreign(headers, allowedHosts);
  return fault && { status: 403, ...fault };
};

/** What is wrong with the request comes before who asks. */
const checks: readonly Check[] = [method, version, target, body, expectation, oneHost, site, hostAndOrigin];
