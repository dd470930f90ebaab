import { checkMethods, checkType, checkWhole, shown } from "../../streams/check.ts";
import { type Address, parseAddress } from "../config/address.ts";

/**
 * An address that a caller passed, also as a string: "unix:PATH" or "tcp:HOST:PORT".
 * @throws TypeError, RangeError when it is none
 */
export function addressOf(address: Address | string): Address {
  if (typeof address === "string") {
    const parsed = parseAddress(address);
    if (!parsed) throw new TypeError(`an address is "unix:PATH" or "tcp:HOST:PORT", not ${shown(address)}`);
    return parsed;
  }
  checkMethods(address, "the address", '{ path } or { host, port }, "unix:PATH" or "tcp:HOST:PORT"', []);
  if ("path" in address) {
    checkType(address.path, "the path of the address", "string");
    if (address.path === "") throw new RangeError("the path of the address is empty");
    return address;
  }
  checkType(address.host, "the host of the address", "string");
  checkWhole(address.port, "the port of the address", 0, 65535);
  return address;
}
