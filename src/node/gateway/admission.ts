import type { IncomingMessage } from "node:http";
import { foreign } from "../host-rules.ts";
import type { Unbelieved } from "./proxies.ts";

/** The parts of a request that decide whether it is let in. */
export interface Visit
  extends Pick<IncomingMessage, "method" | "url" | "httpVersion" | "headers" | "rawHeaders"> {
  /** The IP address of the client. */
  address: string;
  /** Whether all that the client sends is encrypted. */
  isSecure: boolean;
  /** The host, with its port, that the client asked for. */
  host: string | undefined;
  /** Why nothing of it is believed: it does not come through the proxy, or the proxy says what cannot be. */
  unbelieved?: Unbelieved | undefined;
}

export interface Refusal {
  status: number;
  /** For the other side, in short: nothing of our configuration, no path of this machine. */
  words: string;
  /** For the log, if it is to say more: what was wrong, and what to do about it. */
  advice?: string;
  /** Headers that belong to the status. */
  headers?: Readonly<Record<string, string>>;
}

/** Every way into the gateway. A door that is added here is behind `admission` too. */
export const doors = {
  /** The files of the page. */
  page: { methods: ["GET", "HEAD"], isUpgrade: false },
  /** The configurations that the page offers. */
  metadata: { methods: ["GET", "HEAD"], isUpgrade: false },
  /** A plain request for the path of a WebSocket. */
  notUpgraded: { methods: ["GET", "HEAD"], isUpgrade: false },
  /** A WebSocket that becomes a session. */
  session: { methods: ["GET"], isUpgrade: true },
  /** CONNECT: never open. */
  tunnel: { methods: [], isUpgrade: false },
} as const satisfies Record<string, { methods: readonly string[]; isUpgrade: boolean }>;

export type Door = keyof typeof doors;

type Check = (visit: Visit, door: Door, allowedHosts: readonly string[]) => Refusal | undefined;

/**
 * Decides who gets in, for every door: says why a request is refused; undefined if it is let in. It refuses what another
 * server on the way could interpret differently (RFC 9112, section 11.2), and what another site asks for.
 */
export function admission(visit: Visit, door: Door, allowedHosts: readonly string[]): Refusal | undefined {
  for (const check of checks) {
    const refusal = check(visit, door, allowedHosts);
    if (refusal) return refusal;
  }
  return undefined;
}

const bad = (words: string): Refusal => ({ status: 400, words });

const origination: Check = ({ unbelieved }) => unbelieved;

const method: Check = (visit, door) => {
  const methods: readonly string[] = doors[door].methods;
  if (methods.includes(visit.method ?? "")) return undefined;
  return { status: 405, words: "only GET and HEAD are answered", headers: { Allow: methods.join(", ") } };
};

const version: Check = ({ httpVersion }, door) => {
  if (httpVersion === "1.1" || (httpVersion === "1.0" && !doors[door].isUpgrade)) return undefined;
  return bad(`HTTP/${httpVersion} is too old for this request`);
};

/** Only a path is taken. In a whole URL, or a host and port, a proxy would see another Host. */
const target: Check = ({ url = "" }) =>
  /^\/[!-~]*$/.test(url) && !url.includes("#") ? undefined : bad("the target of the request is not a path");

/** Bodies are not read here, so their bytes would be taken for the next request. */
const body: Check = ({ headers }) => {
  if (headers["transfer-encoding"] === undefined && (headers["content-length"] ?? "0") === "0")
    return undefined;
  return bad("the request has a body");
};

/** Expect announces a body. */
const expectation: Check = ({ headers }) =>
  headers.expect === undefined ? undefined : bad("the header Expect is not supported");

/** Of several Host headers Node would keep the first. */
const oneHost: Check = ({ rawHeaders }) => {
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "host").length;
  return hosts === 1 ? undefined : bad(`the request has ${hosts} Host headers, and needs one`);
};

/**
 * Browsers say whether a request comes from a page of another site (Fetch Metadata), even if they send no Origin, as for images
 * and scripts. Links to the page are fine.
 */
const site: Check = ({ headers }) => {
  const from = headers["sec-fetch-site"];
  if (from === undefined || from === "same-origin" || from === "none") return undefined;
  if (headers["sec-fetch-dest"] === "document") return undefined;
  return { status: 403, words: "the request comes from another site" };
};

const hostAndOrigin: Check = ({ headers, host, isSecure }, _door, allowedHosts) => {
  const fault = foreign({ host, origin: headers.origin, isSecure }, allowedHosts);
  return fault && { status: 403, ...fault };
};

/** In this order: whether it comes through the proxy, whether it is well-formed, then who asks. */
const checks: readonly Check[] = [
  origination,
  method,
  version,
  target,
  body,
  expectation,
  oneHost,
  site,
  hostAndOrigin,
];
