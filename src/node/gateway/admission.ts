import type { IncomingMessage } from "node:http";
import type { Config } from "../config/config.ts";
import { foreign } from "../host-rules.ts";
import type { Access } from "../login/access.ts";
import { hasCredentialInQuery } from "../login/credentials.ts";
import type { Unbelieved } from "./proxies.ts";
import { whoMayEnter } from "./who.ts";

/** The parts of a request that decide whether it is let in. */
export interface Visit
  extends Pick<IncomingMessage, "method" | "url" | "httpVersion" | "headers" | "rawHeaders"> {
  /** The IP address of the client. */
  address: string;
  /** Whether all that the client sends is encrypted. */
  isSecure: boolean;
  /** The host, with its port, that the client asked for. */
  host: string | undefined;
  /** The host and port of this end of the connection, where that is plain HTTP without a proxy. */
  own?: string | undefined;
  /** Whether it crosses a network in the clear before a proxy has it. */
  isExposed?: boolean | undefined;
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

/** What is asked of those who come to a door. */
interface DoorRules {
  methods: readonly string[];
  /** Whether it makes a WebSocket. */
  isUpgrade?: true;
  /** Open to those who have not logged in. */
  isPublic?: true;
  /** Open to pages of `allowed-origins`. */
  isForOthers?: true;
  /** Takes JSON, of at most so many bytes. */
  longestBody?: number;
}

/** Bytes of the longest body with what a login takes, and with a URL, whose characters may be escaped. */
const LOGIN_BODY = 1024;
const URL_BODY = 16_384;

/** Every way into the gateway. A door that is added here is behind `admission` too. */
export const doors = {
  /** The files of the page. */
  page: { methods: ["GET", "HEAD"], isPublic: true },
  /** The configurations that the page offers. */
  metadata: { methods: ["GET", "HEAD"], isForOthers: true },
  /** What a browser asks before a page of others may ask for something. */
  preflight: { methods: ["OPTIONS"], isPublic: true, isForOthers: true },
  /** Where a login begins. */
  login: { methods: ["POST"], isPublic: true, longestBody: LOGIN_BODY },
  /** Where a login ends. */
  logout: { methods: ["POST"], longestBody: LOGIN_BODY },
  /** Ends the session of a configuration, which its path names. */
  eject: { methods: ["POST"] },
  /** Has the gateway fetch a URL by itself, for the configuration that its path names. */
  pull: { methods: ["POST"], longestBody: URL_BODY },
  /** What each disk is at. */
  status: { methods: ["GET", "HEAD"] },
  /** The same as events, for as long as the reader stays. */
  events: { methods: ["GET"] },
  /** The same in numbers, for Prometheus. */
  metrics: { methods: ["GET", "HEAD"] },
  /** A plain request for the path of a WebSocket. */
  notUpgraded: { methods: ["GET", "HEAD"] },
  /** A path where there is nothing. Without a login nobody finds out which there are. */
  nothing: { methods: ["GET", "HEAD"] },
  /** A WebSocket that becomes a session. */
  session: { methods: ["GET"], isUpgrade: true, isForOthers: true },
  /** CONNECT: never open. */
  tunnel: { methods: [] },
} as const satisfies Record<string, DoorRules>;

export type Door = keyof typeof doors;

/** What the checks ask, beside the request. */
export interface AdmissionRules {
  /** Names of this gateway, and the origins of other pages that may come to some doors. */
  config: Pick<Config, "allowedHosts" | "allowedOrigins" | "limits">;
  /** More names of this gateway: that of its host, and those of its certificate. */
  names?: readonly string[];
  /** Decides who gets in; undefined: everybody does. */
  access: Access | undefined;
}

export type Check = (visit: Visit, door: Door, rules: AdmissionRules) => Refusal | undefined;

/**
 * Decides who gets in, for every door: says why a request is refused; undefined if it is let in. It refuses what another
 * server on the way could interpret differently (RFC 9112, section 11.2), what another site asks for, and who has no login.
 *
 * @param list a test leaves a check out
 */
export function admission(
  visit: Visit,
  door: Door,
  rules: AdmissionRules,
  list: readonly Check[] = checks,
): Refusal | undefined {
  for (const check of list) {
    const refusal = check(visit, door, rules);
    if (refusal) return refusal;
  }
  return undefined;
}

/** What is asked of those who come to a door. */
export function rulesOf(door: Door): DoorRules {
  return doors[door];
}

/** The origin of a page of others that a request comes from, if that page may come to the door. */
export function otherOrigin(
  { headers }: Visit,
  door: Door,
  { config: { allowedOrigins } }: AdmissionRules,
): string | undefined {
  const { origin } = headers;
  return rulesOf(door).isForOthers && origin !== undefined && allowedOrigins.includes(origin)
    ? origin
    : undefined;
}

const bad = (words: string): Refusal => ({ status: 400, words });

const origination: Check = ({ unbelieved }) => unbelieved;

/** What comes to a proxy over plain HTTP. The page is refused too: it would ask for the token there. */
const exposure: Check = ({ isExposed, address }) => {
  if (!isExposed) return undefined;
  const words = "over plain HTTP the token would travel in the clear: use https://";
  const client = address === "" ? "a client that it does not name" : address;
  const advice =
    `the proxy does not say that ${client} came over https, so the token would travel in the clear: ` +
    "have the proxy redirect http:// to https://, and set X-Forwarded-Proto and X-Forwarded-For";
  return { status: 403, words, advice };
};

const method: Check = (visit, door) => {
  const { methods } = rulesOf(door);
  if (methods.includes(visit.method ?? "")) return undefined;
  const answered =
    methods.length === 0
      ? "GET and HEAD are"
      : `${methods.join(" and ")} ${methods.length > 1 ? "are" : "is"}`;
  return { status: 405, words: `only ${answered} answered`, headers: { Allow: methods.join(", ") } };
};

const headerCount: Check = ({ rawHeaders }, _door, { config: { limits } }) =>
  rawHeaders.length / 2 <= limits.headers
    ? undefined
    : { status: 431, words: `the request has more than ${limits.headers} headers` };

const version: Check = ({ httpVersion }, door) => {
  if (httpVersion === "1.1" || (httpVersion === "1.0" && !rulesOf(door).isUpgrade)) return undefined;
  return bad(`HTTP/${httpVersion} is too old for this request`);
};

/** Only a path is taken. In a whole URL, or a host and port, a proxy would see another Host. */
const target: Check = ({ url = "" }) =>
  /^\/[!-~]*$/.test(url) && !url.includes("#") ? undefined : bad("the target of the request is not a path");

/** A query reaches the logs of servers, and the history of browsers. */
const query: Check = ({ url = "" }) =>
  hasCredentialInQuery(url)
    ? bad(
        "a token does not belong in a URL: send it as Authorization: Bearer TOKEN, or open the URL with #TOKEN",
      )
    : undefined;

/** At most doors bodies are not read, so their bytes would be taken for the next request. */
const body: Check = ({ headers }, door) => {
  const length = headers["content-length"] ?? "0";
  if (headers["transfer-encoding"] === undefined && length === "0") return undefined;
  const { longestBody } = rulesOf(door);
  if (longestBody === undefined) return bad("the request has a body");
  if (headers["transfer-encoding"] !== undefined)
    return { status: 411, words: "the length of the body has to be told beforehand" };
  if (Number(length) > longestBody)
    return { status: 413, words: `the body has more than ${longestBody} bytes` };
  // Another site's page could send other types without asking.
  if (/^application\/json\s*(;|$)/i.test(headers["content-type"] ?? "")) return undefined;
  return { status: 415, words: "the body has to be application/json" };
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
const site: Check = (visit, door, rules) => {
  const { headers } = visit;
  const from = headers["sec-fetch-site"];
  if (otherOrigin(visit, door, rules) !== undefined) return undefined;
  if (from === undefined || from === "same-origin" || from === "none") return undefined;
  if (headers["sec-fetch-dest"] === "document") return undefined;
  return { status: 403, words: "the request comes from another site" };
};

const hostAndOrigin: Check = (visit, door, rules) => {
  const origin = otherOrigin(visit, door, rules) === undefined ? visit.headers.origin : undefined;
  const hosts = [...rules.config.allowedHosts, ...(rules.names ?? [])];
  const fault = foreign({ host: visit.host, origin, isSecure: visit.isSecure }, hosts);
  return fault && { status: 403, ...fault };
};

/** Whether the visitor has a login, or the token. */
const who: Check = (visit, door, { access }) => {
  const { isPublic, isUpgrade = false } = rulesOf(door);
  return access && !isPublic ? whoMayEnter(visit, isUpgrade, access) : undefined;
};

/**
 * In this order: whether it comes through the proxy, and not in the clear; whether the request is well-formed; where it comes
 * from; who asks.
 */
export const checks: readonly Check[] = [
  origination,
  exposure,
  headerCount,
  method,
  version,
  target,
  query,
  body,
  expectation,
  oneHost,
  site,
  hostAndOrigin,
  who,
];
