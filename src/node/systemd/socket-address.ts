import { endianness } from "node:os";
import type { Address } from "../config/address.ts";
import { MAX_SOCKET_PATH } from "../config/address.ts";
import { ipAddress } from "../ip-address.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "../kernel/system-calls.ts";

const isLittleEndian = endianness() === "LE";

/**
 * The address of a unix socket as the kernel takes it (unix(7)). A name that begins with "@" is none of a file: it is in the
 * abstract namespace.
 * @throws Error when there can be no such address
 */
export function unixAddress(name: string): Uint8Array {
  if (!/^[/@][^\0]/.test(name) || name.includes("\0")) throw new Error("it is neither a path nor @NAME");
  const bytes = Buffer.from(name);
  if (bytes.byteLength > MAX_SOCKET_PATH)
    throw new Error(`it has more than ${MAX_SOCKET_PATH} bytes, and no socket has such a name`);
  const isAbstract = name.startsWith("@");
  if (isAbstract) bytes[0] = 0;
  const address = new Uint8Array(2 + bytes.byteLength + (isAbstract ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, isLittleEndian);
  address.set(bytes, 2);
  return address;
}

/**
 * Reads an address that the kernel wrote.
 * @returns undefined when it is none of a file, an IPv4 or an IPv6 address
 */
export function readAddress(address: Uint8Array): Address | undefined {
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength);
  if (address.byteLength < 3) return undefined;
  const family = view.getUint16(0, isLittleEndian);
  if (family === AF_UNIX) {
    const end = address.indexOf(0, 2);
    const path = Buffer.from(address.subarray(2, end < 0 ? undefined : end)).toString();
    return path === "" ? undefined : { path };
  }
  if (family === AF_INET && address.byteLength >= 8)
    return { host: address.subarray(4, 8).join("."), port: view.getUint16(2) };
  if (family !== AF_INET6 || address.byteLength < 24) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(8 + 2 * i).toString(16));
  return { host: ipAddress(groups.join(":"))!, port: view.getUint16(2) };
}
