import { isIP } from "node:net";

/**
 * The one way in which an IP address is written, so that texts can be compared: IPv6 in short form, an IPv4 address that is
 * mapped to IPv6 as IPv4, and no zone.
 *
 * @returns undefined if it is not an IP address
 */
export function ipAddress(text: string): string | undefined {
  const bare = text.replace(/%.*$/, "");
  const version = isIP(bare);
  if (version !== 6) return version === 4 ? bare : undefined;
  const short = new URL(`http://[${bare}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short);
  if (!mapped) return short;
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
