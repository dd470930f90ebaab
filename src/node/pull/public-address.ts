import ipaddr from "ipaddr.js";
import { ipAddress } from "../ip-address.ts";

type Ip = ipaddr.IPv4 | ipaddr.IPv6;

/** What of IPv6 is given out for use between networks (RFC 4291, section 2.4, and what IANA has assigned). */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR("2000::/3");

/** Ranges in which no host has an address that one could connect to. */
const NO_HOST: ReadonlySet<string> = new Set(["unspecified", "multicast", "broadcast"]);

/**
 * Whether an IP address is one of the public Internet: not of this machine, its link or a private network, not reserved, and
 * no form of IPv6 that stands for such an address. What is not known to be public is not; nor is an address with a zone.
 */
export function isPublicAddress(text: string): boolean {
  const ip = parse(text);
  return ip !== undefined && isPublic(ip);
}

/** Whether an IP address can be that of a host. With a zone it cannot be named: the zone belongs to one machine. */
export function isHostAddress(text: string): boolean {
  const ip = parse(text);
  return ip !== undefined && !NO_HOST.has((carriedBy(ip) ?? ip).range());
}

/** An address, or a network as "10.0.0.0/8", in the form that `isWithin` takes; undefined if it is neither. */
export function network(text: string): string | undefined {
  const [address = "", bits] = text.split("/", 2);
  const ip = parse(address);
  if (!ip) return undefined;
  const whole = `${ip}/${bits ?? 8 * ip.toByteArray().length}`;
  return text.split("/").length <= 2 && ipaddr.isValidCIDR(whole) ? whole : undefined;
}

/** Whether an IP address is in one of some networks. */
export function isWithin(text: string, networks: readonly string[]): boolean {
  const ip = parse(text);
  return networks.some((one) => {
    const [first, bits] = ipaddr.parseCIDR(one);
    return ip?.kind() === first.kind() && ip.match(first, bits);
  });
}

/** An address in its one form: an IPv4 address that is mapped to IPv6 is one of IPv4. */
function parse(text: string): Ip | undefined {
  const address = text.includes("%") ? undefined : ipAddress(text);
  return address === undefined ? undefined : ipaddr.parse(address);
}

function isPublic(ip: Ip): boolean {
  const carried = carriedBy(ip);
  if (carried) return isPublic(carried);
  return ip.range() === "unicast" && (ip.kind() === "ipv4" || ip.match(GLOBAL_UNICAST));
}

/** The IPv4 address to which packets for an address of IPv6 go in the end: by NAT64 (RFC 6052) or 6to4 (RFC 3056). */
function carriedBy(ip: Ip): ipaddr.IPv4 | undefined {
  const bytes = ip.toByteArray();
  const range: string = ip.range();
  if (range === "6to4") return new ipaddr.IPv4(bytes.slice(2, 6));
  // In a NAT64 prefix of a network's own (64:ff9b:1::/48) the address may be anywhere.
  return range === "rfc6052" && bytes[5] === 0 ? new ipaddr.IPv4(bytes.slice(12)) : undefined;
}
