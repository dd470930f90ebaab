import { isIPv6 } from "node:net";

/** What one client can choose its address from: an IPv4 address, or the first 64 bits of one of IPv6, "…::/64". */
export function networkOf(address: string): string {
  const ip = address.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/i, "");
  if (!isIPv6(ip)) return ip;
  const groups = new URL(`http://[${ip}]`).hostname.slice(1, -1).split("::");
  const [head = [], tail = []] = groups.map((half) => (half === "" ? [] : half.split(":")));
  const zeroes = groups.length > 1 ? Array<string>(8 - head.length - tail.length).fill("0") : [];
  return `${[...head, ...zeroes, ...tail].slice(0, 4).join(":")}::/64`;
}
