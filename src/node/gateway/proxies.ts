import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { quoted } from "../../streams/quoted.ts";
import { PROXY_RULE, proxyAddress } from "../config/proxy-address.ts";
import { ipAddress } from "../ip-address.ts";
import { isLoopback } from "../loopback.ts";
import type { Visit } from "./admission.ts";

/** Who asks, and how, as far as the connection and proxies that are believed can tell. */
export type Origination = Pick<Visit, "address" | "isSecure" | "host">;

/** What a connection tells of itself. */
export interface Peer {
  /** Absent on a unix socket. */
  remoteAddress?: string | undefined;
  /** Whether it is TLS. */
  encrypted?: boolean;
}

/** Why nothing is believed of a request. */
export interface Unbelieved {
  status: 400 | 403;
  words: string;
  advice: string;
}

/** Where a gateway is reached through: addresses of reverse proxies, and perhaps a unix socket that they connect to. */
export class Proxies {
  /** The unix socket to listen on in place of an address. */
  readonly path: string | undefined;
  readonly #addresses: ReadonlySet<string>;

  /**
   * @param entries IP addresses, and at most one "unix:PATH"
   * @throws Error in words when an entry is something else
   */
  constructor(entries: readonly string[]) {
    const addresses = new Set<string>();
    for (const entry of entries) {
      const proxy = proxyAddress(entry);
      if (!proxy) throw new Error(`${PROXY_RULE}, not as ${quoted(entry)}`);
      if ("address" in proxy) addresses.add(proxy.address);
      else if (this.path === undefined) this.path = proxy.path;
      else throw new Error("the gateway can listen on one unix socket only");
    }
    this.#addresses = addresses;
  }

  /**
   * Who asks, by the headers of a request from one of the proxies: X-Forwarded-Proto, X-Forwarded-Host, and of
   * X-Forwarded-For the rightmost address that is not a proxy's. A header that is absent changes nothing.
   */
  originationOf(peer: Peer, headers: IncomingHttpHeaders): Origination | Unbelieved {
    const from = peerAddress(peer);
    const isProxy = peer.remoteAddress === undefined ? this.path !== undefined : this.#addresses.has(from);
    if (!isProxy) return stranger(from);
    const [proto, host, hops] = [
      headerOf(headers, "x-forwarded-proto"),
      headerOf(headers, "x-forwarded-host"),
      headerOf(headers, "x-forwarded-for"),
    ];
    if (proto !== undefined && !/^https?$/i.test(proto)) return malformed("X-Forwarded-Proto", proto);
    // What is in it is judged as Host is, but it names one host.
    if (host !== undefined && !/^[^\s,]+$/.test(host)) return malformed("X-Forwarded-Host", host);
    const address = hops === undefined ? from : this.#clientOf(hops, from);
    if (address === undefined) return malformed("X-Forwarded-For", hops!);
    return { address, isSecure: proto?.toLowerCase() === "https", host: host ?? headers.host };
  }

  /** The rightmost hop that is not a proxy: those left of it are the client's own words. */
  #clientOf(hops: string, from: string): string | undefined {
    let address: string | undefined = from;
    for (const hop of hops.split(",").reverse()) {
      address = hopAddress(hop.trim());
      if (address === undefined || !this.#addresses.has(address)) return address;
    }
    return address;
  }
}

/**
 * Whether what a client sends crosses a network in the clear on its way to the proxy: unless the proxy tells of https, or the
 * client is on loopback. Who comes from this machine, through no proxy's hands, tells nothing.
 */
export function isExposed({ address, isSecure }: Origination, headers: IncomingHttpHeaders): boolean {
  if (isSecure) return false;
  if (headers["x-forwarded-for"] !== undefined) return !isLoopback(address);
  const isForwarded = headers["x-forwarded-proto"] !== undefined || headers["x-forwarded-host"] !== undefined;
  return isForwarded || !(address === "" || isLoopback(address));
}

/** Who asks, where there is no proxy, or none is believed. */
export function directOrigination(peer: Peer, headers: IncomingHttpHeaders): Origination {
  return { address: peerAddress(peer), isSecure: peer.encrypted === true, host: headers.host };
}

/** "" where there is none, as on a unix socket. */
function peerAddress({ remoteAddress }: Peer): string {
  if (remoteAddress === undefined) return "";
  return ipAddress(remoteAddress) ?? remoteAddress;
}

/** An address in X-Forwarded-For; some proxies add a port. */
function hopAddress(hop: string): string | undefined {
  const bare = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(hop)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(hop)?.[1] ?? hop;
  return isIP(bare) ? ipAddress(bare) : undefined;
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}

function malformed(name: string, value: string): Unbelieved {
  const words = `malformed ${name} header`;
  return { status: 400, words, advice: `${words}: ${quoted(value)}; the proxy has to set it by itself` };
}

function stranger(from: string): Unbelieved {
  const words = "this gateway is reached through its proxy only";
  const advice = `the request comes from ${from || "a unix socket"}, which is not a proxy; if it is one, name it with --behind-proxy`;
  return { status: 403, words, advice };
}
